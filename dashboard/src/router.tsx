/** Every address of the dashboard, with the fields of its query. A page is loaded when it is first opened. */

import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";

import { base } from "./api/base";
import type { ClassSearch, TableSearch } from "./api/queries";
import { signedIn } from "./api/session";
import { STATES, STUDENT_STATES } from "./api/states";
import { part } from "./browser/loading";
import { PageFailed, Waiting } from "./components/Feedback";
import { NoSuchPage } from "./components/NotFound";
import { Shell } from "./shell/Shell";
import { fields, listOf, oneOf, strings, text } from "./search";
import { CLASS_TABS, JOB_TABS, NODES_TABS, STUDY_TABS, type JobTab, type NodesTab, type StudyTab } from "./tabs";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NoSuchPage,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search): { next?: string } => ({ next: text(search["next"]) }),
  component: lazyRouteComponent(() => part(() => import("./pages/SignIn")), "SignIn"),
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: ({ location }) => {
    if (!signedIn()) throw redirect({ to: "/sign-in", search: { next: location.href } });
  },
  component: Shell,
});

/** What is not found keeps its navigation. */
const nowhere = createRoute({ getParentRoute: () => inside, path: "$", component: NoSuchPage });

const lab = createRoute({
  getParentRoute: () => inside,
  path: "/",
  component: lazyRouteComponent(() => part(() => import("./pages/Lab")), "Lab"),
});
const jobs = createRoute({
  getParentRoute: () => inside,
  path: "/jobs",
  validateSearch: (search): TableSearch => ({
    state: listOf(search["state"], STATES),
    experiment: text(search["experiment"]),
    owner: text(search["owner"]),
    tag: text(search["tag"]),
    text: text(search["text"]),
    study: text(search["study"]),
    assignment: text(search["assignment"]),
    work_on: text(search["work_on"]),
    earlier: search["earlier"] === true ? true : undefined,
    course: text(search["course"]),
    columns: strings(search["columns"]),
    sort: strings(search["sort"]),
    where: strings(search["where"]),
    by: strings(search["by"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Jobs")), "Jobs"),
});
const job = createRoute({
  getParentRoute: () => inside,
  path: "/jobs/$id",
  validateSearch: (search): { tab?: JobTab } => ({ tab: oneOf(search["tab"], JOB_TABS) }),
  component: lazyRouteComponent(() => part(() => import("./pages/Job")), "Job"),
});

const compare = createRoute({
  getParentRoute: () => inside,
  path: "/compare",
  validateSearch: (search): { jobs?: string[]; metric?: string; x?: string; y?: string } => ({
    jobs: strings(search["jobs"]),
    metric: text(search["metric"]),
    x: text(search["x"]),
    y: text(search["y"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Compare")), "Compare"),
});

const submit = createRoute({
  getParentRoute: () => inside,
  path: "/submit",
  validateSearch: (search): { experiment?: string; from?: string; change?: Record<string, unknown> } => ({
    experiment: text(search["experiment"]),
    from: text(search["from"]),
    change: fields(search["change"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Submit")), "Submit"),
});
const studies = createRoute({
  getParentRoute: () => inside,
  path: "/studies",
  validateSearch: (search): { owner?: string; text?: string; course?: string } => ({
    owner: text(search["owner"]),
    text: text(search["text"]),
    course: text(search["course"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Studies")), "Studies"),
});
const newStudy = createRoute({
  getParentRoute: () => inside,
  path: "/studies/new",
  validateSearch: (search): { kind?: "grid"; experiment?: string; template?: string } => ({
    kind: oneOf(search["kind"], ["grid"] as const),
    experiment: text(search["experiment"]),
    template: text(search["template"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/NewStudy")), "NewStudy"),
});
const study = createRoute({
  getParentRoute: () => inside,
  path: "/studies/$id",
  validateSearch: (
    search,
  ): { tab?: StudyTab; experiment?: string; result?: string; more?: string[]; x?: string; y?: string } => ({
    tab: oneOf(search["tab"], STUDY_TABS),
    experiment: text(search["experiment"]),
    result: text(search["result"]),
    more: strings(search["more"]),
    x: text(search["x"]),
    y: text(search["y"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Study")), "Study"),
});
const programs = createRoute({
  getParentRoute: () => inside,
  path: "/programs",
  component: lazyRouteComponent(() => part(() => import("./pages/Programs")), "Programs"),
});
const program = createRoute({
  getParentRoute: () => inside,
  path: "/programs/$sha256",
  validateSearch: (search): { from?: string; file?: string; compare?: string } => ({
    from: text(search["from"]),
    file: text(search["file"]),
    compare: text(search["compare"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Program")), "Program"),
});
const nodes = createRoute({
  getParentRoute: () => inside,
  path: "/nodes",
  validateSearch: (search): { tab?: NodesTab } => ({ tab: oneOf(search["tab"], NODES_TABS) }),
  component: lazyRouteComponent(() => part(() => import("./pages/Nodes")), "Nodes"),
});
const assignments = createRoute({
  getParentRoute: () => inside,
  path: "/assignments",
  component: lazyRouteComponent(() => part(() => import("./pages/assignments/Assignments")), "Assignments"),
});
const predictions = createRoute({
  getParentRoute: () => inside,
  path: "/predictions",
  component: lazyRouteComponent(() => part(() => import("./pages/Predictions")), "Predictions"),
});
const account = createRoute({
  getParentRoute: () => inside,
  path: "/account",
  component: lazyRouteComponent(() => part(() => import("./pages/Account")), "Account"),
});
const people = createRoute({
  getParentRoute: () => inside,
  path: "/class",
  validateSearch: (search): ClassSearch => ({
    tab: oneOf(search["tab"], CLASS_TABS),
    course: text(search["course"]),
    assignment: text(search["assignment"]),
    view: oneOf(search["view"], ["wall"] as const),
    state: oneOf(search["state"], STUDENT_STATES),
    section: text(search["section"]),
    team: text(search["team"]),
    text: text(search["text"]),
  }),
  component: lazyRouteComponent(() => part(() => import("./pages/Class")), "Class"),
});

const pages = [
  lab,
  jobs,
  job,
  compare,
  submit,
  studies,
  newStudy,
  study,
  programs,
  program,
  assignments,
  predictions,
  nodes,
  people,
  account,
  nowhere,
] as const;
const tree = root.addChildren([signIn, inside.addChildren(pages)]);

export function createTheRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    basepath: base || "/",
    context: { queries },
    defaultPreload: "intent",
    defaultPendingComponent: Waiting,
    defaultErrorComponent: PageFailed,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createTheRouter>;
  }
}
