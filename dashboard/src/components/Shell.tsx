/** The frame of every page: where one can go, who is signed in, and whether the lab is being heard. */

import {
  ActionIcon,
  Alert,
  AppShell,
  Burger,
  Button,
  Group,
  Menu,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import {
  FlaskConical,
  GitCompareArrows,
  KeyRound,
  LayoutDashboard,
  ListChecks,
  LogOut,
  Moon,
  Plus,
  Server,
  Sun,
  Target,
  Unplug,
  User,
  Users,
  type LucideIcon,
} from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";

import { contactStore, follow } from "../api/live";
import { address } from "../api/base";
import * as queries from "../api/queries";
import { api } from "../api/client";
import { forget } from "../api/session";
import { ago } from "../format";
import { PlaceLink } from "./Links";
import { useNow } from "./Time";

type Place = {
  to: "/" | "/jobs" | "/submit" | "/studies" | "/compare" | "/predictions" | "/class" | "/nodes";
  label: string;
  icon: LucideIcon;
  staff?: true;
};

const PLACES: Place[] = [
  { to: "/", label: "Lab", icon: LayoutDashboard },
  { to: "/jobs", label: "Jobs", icon: ListChecks },
  { to: "/submit", label: "Submit", icon: Plus },
  { to: "/studies", label: "Studies", icon: FlaskConical },
  { to: "/compare", label: "Compare", icon: GitCompareArrows },
  { to: "/predictions", label: "Predictions", icon: Target },
  { to: "/class", label: "Class", icon: Users, staff: true },
  { to: "/nodes", label: "Machines", icon: Server, staff: true },
];

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const client = useQueryClient();
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const { data: me } = useQuery(queries.me);
  const staff = me !== undefined && me.role !== "student";
  useEffect(() => follow(client), [client]);
  useEffect(close, [pathname, close]);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "sm", sm: "lg" }}
    >
      <a className="skip" href="#main">
        Skip to the page
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
            <ThemeSwitch />
            <Person />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Pages">
        {PLACES.filter((place) => !place.staff || staff).map(({ to, label, icon: Icon }) => {
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
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: "none" }}>
        <Silence />
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}

function Silence() {
  const contact = useSyncExternalStore(contactStore.subscribe, contactStore.get);
  const now = useNow(1000);
  if (contact.live) return null;
  return (
    <Alert color="orange" icon={<Unplug aria-hidden />} title="The lab does not answer" mb="md" role="alert">
      It fell silent {ago(contact.since, now)}, and what you see is from before. Jobs that run go on; this page catches
      up by itself as soon as the lab is back.
    </Alert>
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

function Person() {
  const { data } = useQuery(queries.me);
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="subtle" color="gray" size="compact-md" leftSection={<User size={16} aria-hidden />}>
          <span className="clip" style={{ maxWidth: "9rem" }}>
            {data?.name ?? "…"}
          </span>
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
        <Menu.Item
          leftSection={<LogOut size={16} aria-hidden />}
          onClick={() => void api.DELETE("/v1/session").finally(forget)}
        >
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
