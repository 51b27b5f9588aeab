import {
  Alert,
  Anchor,
  Button,
  Card,
  Center,
  Code,
  Divider,
  Group,
  PasswordInput,
  Stack,
  Text,
  Title,
} from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { CircleAlert } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { address, installLine } from "../api/base";
import { api, data, Refused } from "../api/client";
import * as queries from "../api/queries";
import { Lines } from "../components/Lines";

export function SignIn() {
  const [given, setGiven] = useState("");
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { next } = useSearch({ from: "/sign-in" });
  const client = useQueryClient();
  const navigate = useNavigate();

  async function enter(event: SyntheticEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      client.setQueryData(queries.me.queryKey, await data(api.POST("/v1/session", { body: { token: given.trim() } })));
      await navigate({ href: next?.startsWith("/") && !next.startsWith("//") ? next : "/" });
    } catch (error) {
      const unknown = error instanceof Refused && error.problem.status === 401;
      setRefusal(
        unknown
          ? "This token is not valid. It may have expired: ask your instructor for a new one."
          : (error as Error).message,
      );
    } finally {
      setBusy(false);
    }
  }

  return (
    <Center mih="100vh" p="md" component="main">
      <Card w="100%" maw={420} padding="xl">
        <form onSubmit={(event) => void enter(event)}>
          <Stack>
            <Group gap="sm">
              <img src={address("/favicon.svg")} alt="" width={32} height={32} />
              <Title order={1} size="h3">
                gpulab
              </Title>
            </Group>
            <Text size="sm" c="dimmed">
              gpulab runs your GPU experiments on the machines of your class. Sign in with the token from your
              instructor. If you started this lab, the token is in the file <Code>admin.token</Code> of its folder.
            </Text>
            <PasswordInput
              label="Token"
              placeholder="glab_…"
              autoComplete="current-password"
              required
              withAsterisk={false}
              autoFocus
              value={given}
              onChange={(event) => setGiven(event.currentTarget.value)}
            />
            {refusal !== null && (
              <Alert color="red" variant="light" icon={<CircleAlert aria-hidden />} role="alert">
                {refusal}
              </Alert>
            )}
            <Button type="submit" loading={busy} disabled={given.trim() === ""}>
              Sign in
            </Button>
            <Text size="xs" c="dimmed">
              The browser stores a session, not the token.
            </Text>
            <Divider />
            <Text size="sm">
              For the terminal and notebooks, install{" "}
              <Anchor underline="always" href={address("/client")}>
                the client of this lab
              </Anchor>
              :
            </Text>
            <Lines text={installLine} label="Copy the command" />
          </Stack>
        </form>
      </Card>
    </Center>
  );
}
