/** The frame of every page: navigation, the signed-in user, banners, and a warning if the lab does not answer. */

import {
  ActionIcon,
  Alert,
  AppShell,
  Box,
  Burger,
  Button,
  Group,
  Menu,
  ScrollArea,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { CircleHelp, KeyRound, Keyboard, LogOut, Moon, Search, Sun, Unplug, User } from "lucide-react";
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from "react";

import { contactStore, follow } from "../api/live";
import { address, docs } from "../api/base";
import * as queries from "../api/queries";
import { api, done } from "../api/client";
import { forget, signedIn } from "../api/session";
import { part } from "../browser/loading";
import { ago } from "../format";
import { PlaceLink } from "../components/Links";
import { useNow } from "../components/Time";
import { Banners } from "./Banners";
import { helpFor } from "./help";
import { placesFor } from "./places";
import { useKeys, type Overlay } from "./useKeys";
import { Version } from "./Version";

// Most visits need neither.
const Palette = lazy(() => part(() => import("./Palette")));
const Keys = lazy(() => part(() => import("./Keys")));

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const client = useQueryClient();
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const { data: me } = useQuery(queries.me);
  const staff = me?.teaches === true;
  const [overlay, show] = useState<Overlay>(null);
  const hide = () => show(null);
  useKeys(staff, show);
  useEffect(() => follow(client), [client]);
  useEffect(close, [pathname, close]);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "sm", sm: "lg" }}
    >
      <a className="skip" href="#main">
        Skip to content
      </a>
      <AppShell.Header px="md">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={opened ? "Close the menu" : "Open the menu"}
              aria-expanded={opened}
            />
            <Link to="/" className="plain">
              <Group gap={8} wrap="nowrap">
                <img src={address("/favicon.svg")} alt="" width={24} height={24} />
                <Text fw={700}>gpulab</Text>
              </Group>
            </Link>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Tooltip label="Go to… (Ctrl+K)">
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                onClick={() => show("palette")}
                aria-label="Go to a page or job"
              >
                <Search size={18} aria-hidden />
              </ActionIcon>
            </Tooltip>
            <Help />
            <ThemeSwitch />
            <UserMenu showKeys={() => show("keys")} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        <AppShell.Section grow component={ScrollArea}>
          <div>
            {placesFor(staff).map(({ to, label, icon: Icon }) => {
              const active = to === "/" ? pathname === "/" : pathname.startsWith(to);
              return (
                <PlaceLink
                  key={to}
                  to={to}
                  label={label}
                  active={active}
                  aria-current={active ? "page" : undefined}
                  leftSection={<Icon size={18} aria-hidden />}
                  style={{ borderRadius: "var(--mantine-radius-md)" }}
                />
              );
            })}
          </div>
        </AppShell.Section>
        <AppShell.Section>{me !== undefined && <Version key={me.id} userId={me.id} />}</AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: "none" }}>
        <Offline />
        {me !== undefined && <Banners key={me.id} userId={me.id} />}
        <Outlet />
        <Suspense>
          {overlay === "palette" && <Palette staff={staff} close={hide} />}
          {overlay === "keys" && <Keys staff={staff} close={hide} />}
        </Suspense>
      </AppShell.Main>
    </AppShell>
  );
}

function Offline() {
  const contact = useSyncExternalStore(contactStore.subscribe, contactStore.get);
  const now = useNow(1000);
  if (contact.live) return null;
  return (
    <Alert color="orange" icon={<Unplug aria-hidden />} title="The lab does not answer" mb="md" role="alert">
      The last answer came {ago(contact.since, now)}, and this page shows the data from then. Running jobs continue. The
      page updates when the lab is back.
    </Alert>
  );
}

/** Opens the part of the documentation about this page. */
function Help() {
  const { pathname, search } = useRouterState({ select: (state) => state.location });
  const tab = "tab" in search ? String(search.tab) : undefined;
  return (
    <Tooltip label="Help for this page">
      <ActionIcon
        component="a"
        href={docs(helpFor(pathname, tab))}
        target="_blank"
        variant="subtle"
        color="gray"
        size="lg"
        aria-label="Help for this page"
      >
        <CircleHelp size={18} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}

function ThemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "light" ? "dark" : "light";
  return (
    <Tooltip label={`Switch to ${other}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        onClick={() => setColorScheme(other)}
        aria-label={`Switch to ${other} colours`}
      >
        {scheme === "light" ? <Moon size={18} aria-hidden /> : <Sun size={18} aria-hidden />}
      </ActionIcon>
    </Tooltip>
  );
}

/** The session's cookie stays in the browser until the lab ends it. */
async function signOut(): Promise<void> {
  try {
    await done(api.DELETE("/v1/session"));
    forget();
  } catch (error) {
    if (!signedIn()) return;
    const message = `${(error as Error).message} Try again before you leave this computer.`;
    notifications.show({ title: "You are still signed in", message, color: "red", autoClose: false });
  }
}

function UserMenu({ showKeys }: { showKeys: () => void }) {
  const { data } = useQuery(queries.me);
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="subtle" color="gray" size="compact-sm" px={8} h={34} aria-label={data?.name ?? "Your account"}>
          <User size={18} aria-hidden />
          {/* A phone has no room for it: the menu begins with it. */}
          <Box component="span" visibleFrom="sm" className="clip" ml={8} maw="14rem">
            {data?.name ?? "…"}
          </Box>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{data ? `${data.name}, ${data.role}` : "Signed in"}</Menu.Label>
        <Menu.Item
          leftSection={<KeyRound size={16} aria-hidden />}
          renderRoot={(props) => <Link to="/account" {...props} />}
        >
          Account and tokens
        </Menu.Item>
        <Menu.Item leftSection={<Keyboard size={16} aria-hidden />} onClick={showKeys}>
          Keyboard shortcuts
        </Menu.Item>
        <Menu.Item leftSection={<LogOut size={16} aria-hidden />} onClick={() => void signOut()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
