/** The command palette: pages, recent jobs, studies, experiments and the documentation by name. */

import { Kbd, Modal, ScrollArea, Text, TextInput, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { BookOpen, FlaskConical, ListChecks, Search, Send, type LucideIcon } from "lucide-react";
import { useMemo, useRef, useState, type KeyboardEvent } from "react";

import { docs } from "../api/base";
import * as queries from "../api/queries";
import { rowsOf } from "../components/PagedTable";
import { jobName, shortId } from "../components/JobLink";
import { TOPICS } from "./help";
import { placesFor } from "./places";

interface Entry {
  id: string;
  label: string;
  kind: string;
  icon: LucideIcon;
  go: () => unknown;
}

const MAX_SHOWN = 12;

export default function Palette({ staff, close }: { staff: boolean; close: () => void }) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const entries = useEntries(staff);
  const navigate = useNavigate();
  const found = useMemo(() => {
    const text = typed.trim();
    if (text === "") return matching(entries, text);
    // The entries hold the newest jobs; the lab finds all others.
    const go = () => navigate({ to: "/jobs", search: { text } });
    const all = { id: "all", label: `Search all jobs for “${text}”`, kind: "Jobs", icon: Search, go };
    return [...matching(entries, text).slice(0, MAX_SHOWN - 1), all];
  }, [entries, typed, navigate]);
  const list = useRef<HTMLDivElement>(null);
  const chosen = found[Math.min(at, found.length - 1)];
  function open(entry: Entry | undefined) {
    if (entry === undefined) return;
    close();
    entry.go();
  }
  function press(event: KeyboardEvent) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") open(chosen);
    if (step === undefined || found.length === 0) return;
    event.preventDefault();
    const next = (at + step + found.length) % found.length;
    setAt(next);
    list.current?.querySelectorAll("[role=option]")[next]?.scrollIntoView({ block: "nearest" });
  }
  return (
    <Modal opened onClose={close} withCloseButton={false} padding={0} size="lg" yOffset="12vh" aria-label="Go to">
      <TextInput
        data-autofocus
        variant="unstyled"
        size="md"
        px={6}
        leftSection={<Search size={18} aria-hidden />}
        placeholder="Search pages, jobs, studies, experiments and help"
        role="combobox"
        aria-label="Go to"
        aria-expanded
        aria-controls="palette"
        aria-activedescendant={chosen && `palette-${chosen.id}`}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <ScrollArea.Autosize mah="50vh" viewportRef={list} className="palette">
        <div id="palette" role="listbox" aria-label="Results">
          {found.map((entry) => (
            <Option key={entry.id} entry={entry} chosen={entry === chosen} open={() => open(entry)} />
          ))}
        </div>
        {found.length === 0 && (
          <Text size="sm" c="dimmed" p="md">
            No match
          </Text>
        )}
      </ScrollArea.Autosize>
      <VisuallyHidden aria-live="polite">{`${found.length} results`}</VisuallyHidden>
    </Modal>
  );
}

function Option({ entry, chosen, open }: { entry: Entry; chosen: boolean; open: () => void }) {
  const { id, label, kind, icon: Icon } = entry;
  return (
    <UnstyledButton
      id={`palette-${id}`}
      role="option"
      aria-selected={chosen}
      tabIndex={-1}
      className="option"
      onClick={open}
    >
      <Icon size={16} aria-hidden />
      <span className="clip">{label}</span>
      <Text span size="xs" c="dimmed" ml="auto">
        {kind}
      </Text>
      {chosen && <Kbd size="xs">Enter</Kbd>}
    </UnstyledButton>
  );
}

function useEntries(staff: boolean): Entry[] {
  const navigate = useNavigate();
  const jobs = useQuery({ ...queries.recentJobs, staleTime: 10_000 });
  const experiments = useQuery(queries.experiments);
  const studies = useInfiniteQuery({ ...queries.studies(), staleTime: 10_000 });
  return useMemo(
    () => [
      ...placesFor(staff).map(({ to, label, icon }) => ({
        id: to,
        label,
        kind: "Page",
        icon,
        go: () => navigate({ to }),
      })),
      ...(jobs.data?.items ?? []).map((job) => ({
        id: job.id,
        label: `${jobName(job)} ${shortId(job.id)}`,
        kind: "Job",
        icon: ListChecks,
        go: () => navigate({ to: "/jobs/$id", params: { id: job.id } }),
      })),
      ...rowsOf({ data: studies.data }).map((study) => ({
        id: study.id,
        label: study.name ?? study.title,
        kind: "Study",
        icon: FlaskConical,
        go: () => navigate({ to: "/studies/$id", params: { id: study.id } }),
      })),
      ...(experiments.data?.items ?? []).map(({ slug, title }) => ({
        id: slug,
        label: `${title} (${slug})`,
        kind: "Submit",
        icon: Send,
        go: () => navigate({ to: "/submit", search: { experiment: slug } }),
      })),
      ...TOPICS.map(({ label, page }) => ({
        id: page,
        label,
        kind: "Help",
        icon: BookOpen,
        go: () => window.open(docs(page), "_blank", "noopener"),
      })),
    ],
    [navigate, staff, jobs.data, studies.data, experiments.data],
  );
}

/** Entries that hold every typed word; those that begin with the text come first. */
function matching(entries: readonly Entry[], typed: string): Entry[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = entries.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
  const first = words[0] ?? "";
  const starts = (entry: Entry) => Number(!entry.label.toLowerCase().startsWith(first));
  return found.sort((a, b) => starts(a) - starts(b)).slice(0, MAX_SHOWN);
}
