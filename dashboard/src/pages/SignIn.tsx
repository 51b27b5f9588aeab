import {
  Alert,
  Anchor,
  Button,
  Card,
  Center,
  Code,
  Divider,
  Group,
  List,
  PasswordInput,
  Stack,
  Text,
  Title,
} from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { CircleAlert } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { address, docs, installLine } from "../api/base";
import { api, data, Refused } from "../api/client";
import * as queries from "../api/queries";
import { signedIn } from "../api/session";
import { Lines } from "../components/Lines";

const NO_COOKIES =
  `The token is valid, but this browser did not keep the lab's cookie. Allow cookies for ${location.host}, and sign in ` +
  "again.";

/** Of the path to return to, as the lab takes it. */
const MAX_PATH = 500;

export function SignIn() {
  const [given, setGiven] = useState("");
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const { next } = useSearch({ from: "/sign-in" });
  const then = next?.startsWith("/") && !next.startsWith("//") && next.length <= MAX_PATH ? next : "/";
  const { data: university } = useQuery(queries.openid);
  const client = useQueryClient();
  const navigate = useNavigate();

  async function enter(event: SyntheticEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      const me = await data(api.POST("/v1/session", { body: { token: given.trim() } }));
      if (!signedIn()) {
        setRefusal(NO_COOKIES);
        return;
      }
      client.setQueryData(queries.me.queryKey, me);
      await navigate({ href: then });
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
              gpulab shares the GPUs of a class. You submit experiments and your own code; the lab queues them fairly,
              runs them on its machines, measures their memory, and keeps their curves, files and results.
            </Text>
            {university?.start != null && (
              <>
                <Button component="a" href={`${university.start}?then=${encodeURIComponent(then)}`}>
                  Sign in with your university
                </Button>
                <Divider label="or" />
              </>
            )}
            <Text size="sm" c="dimmed">
              Sign in with the token from your instructor.
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
            <List size="sm" spacing={4} aria-label="Without a token">
              <List.Item>
                No token? Ask your instructor: each user of the lab gets one. It may have expired or been replaced.
              </List.Item>
              <List.Item>
                Did you start this lab? The token is in the file <Code>admin.token</Code> of its folder.
              </List.Item>
              <List.Item>
                New here?{" "}
                <Anchor size="sm" underline="always" href={docs("start-student.html")}>
                  Your first steps as a student
                </Anchor>
                , or the{" "}
                <Anchor size="sm" underline="always" href={docs("")}>
                  whole documentation
                </Anchor>
                .
              </List.Item>
            </List>
            <Text size="sm">
              For the terminal and notebooks, install{" "}
              <Anchor size="sm" underline="always" href={address("/client")}>
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
