/** The Python packages that a program can import. */

import { Card, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useState } from "react";

import { environments } from "../../api/programs";
import type { EnvironmentRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";

export function Environment() {
  const query = useQuery(environments);
  const [word, setWord] = useState("");
  return (
    <section aria-labelledby="packages">
      <Title order={2} size="h4" id="packages">
        Packages
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        Your program can import these. Ask the lab&rsquo;s admin for others. In the terminal:{" "}
        <code>gpulab environment</code>
      </Text>
      <Card>
        <Answer query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No machine can run programs now" />
            ) : (
              <Stack gap="sm">
                <TextInput
                  aria-label="Find a package"
                  placeholder="Find a package"
                  leftSection={<Search size={15} aria-hidden />}
                  maw="20rem"
                  value={word}
                  onChange={(event) => setWord(event.currentTarget.value)}
                />
                {items.map((environment) => (
                  <Installed
                    key={environment.nodes.join()}
                    environment={environment}
                    word={word.trim().toLowerCase()}
                  />
                ))}
              </Stack>
            )
          }
        </Answer>
      </Card>
    </section>
  );
}

function Installed({ environment, word }: { environment: EnvironmentRead; word: string }) {
  const { python, nodes, packages } = environment;
  const found = packages.filter(({ name }) => name.toLowerCase().includes(word));
  const where = `Python ${python} on ${nodes.join(", ")}`;
  return (
    <div>
      <Text size="sm" fw={550} className="break" mb={4}>
        {where}
      </Text>
      {found.length === 0 ? (
        <Text size="sm">No package has &ldquo;{word}&rdquo; in its name.</Text>
      ) : (
        <div className="packages" role="region" tabIndex={0} aria-label={where}>
          <ul>
            {found.map(({ name, version }) => (
              <li key={name}>
                {name} <span className="numbers">{version}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
