/** Where the memory of a run goes, as predicted, with the way to run it again with what was tried. */

import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { ButtonLink } from "../../components/Links";
import { propertiesOf } from "../submit/schema";
import { Hero } from "./Hero";

export function JobHero({ job }: { job: JobRead }) {
  const { data: experiment } = useQuery(queries.experiment(job.experiment));
  // A program's memory is known as a sum alone.
  if (experiment === undefined || "program" in propertiesOf(experiment.spec_schema)) return null;
  return (
    <Hero
      experiment={experiment}
      spec={job.spec}
      use={(change) => (
        <ButtonLink to="/submit" search={{ from: job.id, change }}>
          Run again with these
        </ButtonLink>
      )}
    />
  );
}
