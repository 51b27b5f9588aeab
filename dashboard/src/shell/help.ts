/** Which part of the documentation helps with a page. A test checks that each part exists. */

export interface Topic {
  label: string;
  /** Below `/docs/`. */
  page: string;
}

/** Offered by the command palette. */
export const TOPICS: readonly Topic[] = [
  { label: "Start as a student", page: "start-student.html" },
  { label: "Start as an instructor", page: "start-instructor.html" },
  { label: "Start as an operator", page: "start-operator.html" },
  { label: "The dashboard", page: "dashboard.html" },
  { label: "The command line", page: "cli.html" },
  { label: "The Python client", page: "client.html" },
  { label: "Your own code", page: "own-code.html" },
  { label: "Studies", page: "studies.html" },
  { label: "GPU memory", page: "gpu-memory.html" },
  { label: "Out of memory", page: "measuring.html#out-of-memory" },
  { label: "Why is my job waiting?", page: "start-student.html#why-is-my-job-waiting" },
  { label: "Who is next, and where", page: "scheduling.html" },
  { label: "Teaching with the lab", page: "teaching.html" },
  { label: "Operating a lab", page: "operating.html" },
  { label: "Settings", page: "settings.html" },
  { label: "Security", page: "security.html" },
  { label: "The HTTP interface", page: "api.html" },
  { label: "Changes", page: "changelog.html" },
];

/** By the beginning of the path, the longer ones first; then by the tab. */
const HELP: readonly (readonly [string, Record<string, string>])[] = [
  ["/studies/new", { "": "studies.html#your-own-grid" }],
  ["/studies", { "": "studies.html", report: "studies.html#the-report" }],
  [
    "/jobs/",
    {
      "": "dashboard.html#reading-charts",
      memory: "measuring.html#three-views-of-one-runs-memory",
      output: "dashboard.html#reading-output",
      program: "own-code.html",
    },
  ],
  ["/jobs", { "": "dashboard.html#working-in-the-table-of-jobs" }],
  ["/submit", { "": "start-student.html#your-first-run" }],
  ["/programs", { "": "own-code.html" }],
  ["/compare", { "": "dashboard.html#reading-charts" }],
  ["/assignments", { "": "start-student.html#hand-in" }],
  ["/predictions", { "": "gpu-memory.html#how-accurate-it-is" }],
  ["/account", { "": "start-student.html#hear-of-it-without-looking" }],
  [
    "/class",
    {
      "": "teaching.html#add-a-class",
      assignments: "teaching.html#set-an-assignment",
      grades: "teaching.html#grades",
      banners: "teaching.html#tell-the-class-something",
      audit: "teaching.html#the-audit-log",
    },
  ],
  [
    "/nodes",
    {
      "": "operating.html#health-of-the-nodes",
      disk: "operating.html#where-the-disk-goes",
      errors: "operating.html#watching-it",
    },
  ],
  ["/", { "": "dashboard.html#reading-the-timeline" }],
];

/** The part of the documentation about a page, below `/docs/`, by its path below the lab's and its tab. */
export function helpFor(path: string, tab = ""): string {
  const tabs = HELP.find(([start]) => start === "/" || path.startsWith(start))![1];
  return tabs[tab] ?? tabs[""]!;
}
