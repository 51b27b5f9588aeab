/** The experiments as cards. */

import { Card, SimpleGrid, Text, Title } from "@mantine/core";
import { FileCode, FlaskConical, NotebookText, type LucideIcon } from "lucide-react";

import { address } from "../../api/base";
import type { ExperimentSummary } from "../../api/schema";
import { AnchorLink } from "../../components/Links";

export function Catalogue({ experiments }: { experiments: readonly ExperimentSummary[] }) {
  return (
    <section aria-labelledby="catalogue">
      <Title order={2} size="h4" id="catalogue" mb="xs">
        Choose an experiment
      </Title>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3, xl: 4 }} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
        {experiments.map((experiment) => (
          <Card component="li" key={experiment.slug} className="experiment">
            <div className="picture">
              {experiment.has_picture ? (
                <img src={address(`/v1/experiments/${experiment.slug}/picture`)} alt="" loading="lazy" />
              ) : (
                <Icon slug={experiment.slug} />
              )}
            </div>
            <AnchorLink to="/submit" search={{ experiment: experiment.slug }} fw={600} className="whole">
              {experiment.title}
            </AnchorLink>
            <Text size="sm" c="dimmed" lineClamp={3}>
              {experiment.summary.replaceAll("`", "")}
            </Text>
          </Card>
        ))}
      </SimpleGrid>
    </section>
  );
}

/** Of an experiment without a picture. */
const ICONS: Record<string, LucideIcon> = { script: FileCode, notebook: NotebookText };

function Icon({ slug }: { slug: string }) {
  const Shown = ICONS[slug] ?? FlaskConical;
  return <Shown size={36} aria-hidden />;
}
