/** What the pages read, one query per resource. Keys begin with the resource, so that a notice can name what changed. */

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

import { address } from "./base";
import { api, data, file } from "./client";
import { followed, grown } from "./growing";
import type { JobState, MetricsRead, StandingRead } from "./schema";
import type { ClassTab } from "../tabs";
import { UNFINISHED } from "./states";

export interface JobFilters {
  state?: JobState[];
  experiment?: string;
  owner?: string;
  tag?: string;
  text?: string;
  study?: string;
  /** What was handed in for it. */
  assignment?: string;
  /** Runs that count for this assignment: since it was created, or `earlier` ones. */
  work_on?: string;
  earlier?: boolean;
  /** The id of a course. */
  course?: string;
}

/** The tab Class, as its address says it; the last four narrow down the students. */
export interface ClassSearch {
  tab?: ClassTab;
  course?: string;
  assignment?: string;
  view?: "wall";
  state?: StandingRead["state"];
  section?: string;
  team?: string;
  text?: string;
}

/** Which students are meant. */
export type Among = Pick<ClassSearch, "state" | "section" | "team" | "text">;

/** The table of jobs, as its address says it. */
export interface TableSearch extends JobFilters {
  columns?: string[];
  sort?: string[];
  where?: string[];
  by?: string[];
}

const PAGE = 100;

export const me = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => data(api.GET("/v1/me", { signal })),
  staleTime: Infinity,
});

/** The sign-in through a university. */
export const openid = queryOptions({
  queryKey: ["openid"],
  queryFn: ({ signal }) => data(api.GET("/v1/openid", { signal })),
  staleTime: Infinity,
});

export const nodes = queryOptions({
  queryKey: ["nodes"],
  queryFn: ({ signal }) => data(api.GET("/v1/nodes", { signal })),
  refetchInterval: 2000,
});

export const banners = queryOptions({
  queryKey: ["banners"],
  queryFn: ({ signal }) => data(api.GET("/v1/banners", { signal })),
});

export const notifications = queryOptions({
  queryKey: ["notifications"],
  queryFn: ({ signal }) => data(api.GET("/v1/me/notifications", { signal })),
});

export const disk = queryOptions({
  queryKey: ["disk"],
  queryFn: ({ signal }) => data(api.GET("/v1/disk", { signal })),
});

export const labErrors = queryOptions({
  queryKey: ["errors"],
  queryFn: ({ signal }) => data(api.GET("/v1/errors", { signal })),
});

export const unfinishedJobs = queryOptions({
  queryKey: ["jobs", "unfinished"],
  queryFn: ({ signal }) =>
    data(api.GET("/v1/jobs", { params: { query: { state: [...UNFINISHED], limit: 200 } }, signal })),
});

export const recentJobs = queryOptions({
  queryKey: ["jobs", "recent"],
  queryFn: ({ signal }) => data(api.GET("/v1/jobs", { params: { query: { limit: 200 } }, signal })),
});

/** Read again at intervals and not at each notice: sorting all jobs is work for the lab. */
const TABLE_MILLISECONDS = 10_000;

export const jobTable = ({ by: _, ...table }: TableSearch) =>
  infiniteQueryOptions({
    queryKey: ["table", "rows", table],
    queryFn: ({ pageParam, signal }) =>
      data(api.GET("/v1/job-table", { params: { query: { ...table, limit: PAGE, cursor: pageParam } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: TABLE_MILLISECONDS,
  });

export const jobGroups = ({ by = [], ...table }: TableSearch) =>
  queryOptions({
    queryKey: ["table", "groups", by, table],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/job-table/groups", { params: { query: { ...table, sort: undefined, by } }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: TABLE_MILLISECONDS,
  });

/** The columns that the runs of these filters have. */
export const jobFields = ({ columns: _columns, sort: _sort, where: _where, by: _by, ...query }: TableSearch) => {
  return queryOptions({
    queryKey: ["table", "fields", query],
    queryFn: ({ signal }) => data(api.GET("/v1/job-table/fields", { params: { query }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
};

export const job = (id: string) =>
  queryOptions({
    queryKey: ["job", id],
    queryFn: ({ signal }) => data(api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: id } }, signal })),
  });

/** The queue of the whole lab, and the user's place in it. */
export const labQueue = queryOptions({
  queryKey: ["jobs", "queue"],
  queryFn: ({ signal }) => data(api.GET("/v1/queue", { signal })),
  refetchInterval: 5000,
});

export const queue = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "queue"],
    queryFn: ({ signal }) => data(api.GET("/v1/jobs/{job_id}/queue", { params: { path: { job_id: id } }, signal })),
  });

export const history = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "events"],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/jobs/{job_id}/events", { params: { path: { job_id: id }, query: { limit: 200 } }, signal })),
  });

export const artifacts = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "artifacts"],
    queryFn: ({ signal }) => data(api.GET("/v1/jobs/{job_id}/artifacts", { params: { path: { job_id: id } }, signal })),
  });

/** Growing series: only new points are read. */
export const metrics = (id: string, points: number, names?: string[]) =>
  queryOptions({
    queryKey: ["records", id, "metrics", points, names],
    queryFn: async ({ client, queryKey, signal }) => {
      const before = client.getQueryData<MetricsRead>(queryKey);
      const after = before && !grown(before, points) ? before.cursor : undefined;
      const query = { max_points: points, names, after };
      const newer = await data(
        api.GET("/v1/jobs/{job_id}/metrics", { params: { path: { job_id: id }, query }, signal }),
      );
      return before ? followed(before, newer) : newer;
    },
    placeholderData: keepPreviousData,
    // Unchanged data is the same object already.
    structuralSharing: false,
  });

export const samples = (id: string, points: number) =>
  queryOptions({
    queryKey: ["records", id, "samples", points],
    queryFn: ({ signal }) =>
      data(
        api.GET("/v1/jobs/{job_id}/samples", {
          params: { path: { job_id: id }, query: { max_points: points } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });

/** The predicted peak of a run; it does not change. */
export const predictedPeak = (id: string) =>
  queryOptions({
    queryKey: ["predicted", id],
    queryFn: async ({ signal }) => {
      const path = { job_id: id };
      const found = await data(
        api.GET("/v1/jobs/{job_id}/samples", { params: { path, query: { max_points: 2 } }, signal }),
      );
      return found.predicted_peak_bytes;
    },
    staleTime: Infinity,
  });

export const experiments = queryOptions({
  queryKey: ["experiments"],
  queryFn: ({ signal }) => data(api.GET("/v1/experiments", { signal })),
  staleTime: Infinity,
});

export const questionSets = queryOptions({
  queryKey: ["question-sets"],
  queryFn: ({ signal }) => data(api.GET("/v1/question-sets", { signal })),
  staleTime: Infinity,
});

/** The user's own; an admin's are all. */
export const courses = queryOptions({
  queryKey: ["courses"],
  queryFn: ({ signal }) => data(api.GET("/v1/courses", { signal })),
  staleTime: 60_000,
});

export const experiment = (slug: string) =>
  queryOptions({
    queryKey: ["experiments", slug],
    queryFn: ({ signal }) => data(api.GET("/v1/experiments/{slug}", { params: { path: { slug } }, signal })),
    staleTime: Infinity,
  });

export const estimate = (id: string) =>
  queryOptions({
    queryKey: ["estimate", id],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/estimates/{estimate_id}", { params: { path: { estimate_id: id } }, signal })),
  });

/** The GPU models that an estimate can name. */
export const gpuModels = queryOptions({
  queryKey: ["gpu-models"],
  queryFn: ({ signal }) => data(api.GET("/v1/estimates/gpus", { signal })),
  staleTime: Infinity,
});

export const studies = (filters: { owner?: string; text?: string; course?: string } = {}) =>
  infiniteQueryOptions({
    queryKey: ["studies", "list", filters],
    queryFn: ({ pageParam, signal }) =>
      data(api.GET("/v1/studies", { params: { query: { ...filters, limit: 50, cursor: pageParam } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

export const study = (id: string) =>
  queryOptions({
    queryKey: ["studies", id],
    queryFn: ({ signal }) => data(api.GET("/v1/studies/{study_id}", { params: { path: { study_id: id } }, signal })),
  });

export const assignments = queryOptions({
  queryKey: ["assignments"],
  queryFn: ({ signal }) => data(api.GET("/v1/assignments", { params: { query: { limit: 50 } }, signal })),
});

/** The class, for staff. */
export const roster = queryOptions({
  queryKey: ["roster"],
  queryFn: ({ signal }) => data(api.GET("/v1/roster", { signal })),
});

/** Every student of an assignment, in short; read at intervals, because a busy class sends notices all the time. */
export const wall = (id: string, among: Among) =>
  queryOptions({
    queryKey: ["assignments", id, "wall", among],
    queryFn: ({ signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/students", {
          params: { path: { assignment_id: id }, query: among },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });

/** Users whose name or address holds the text, for a choice as one types. */
export const usersLike = (text: string) =>
  queryOptions({
    queryKey: ["users", "like", text],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/users", { params: { query: { text: text || undefined, limit: 20 } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });

export const user = (id: string) =>
  queryOptions({
    queryKey: ["users", "one", id],
    queryFn: ({ signal }) => data(api.GET("/v1/users/{user_id}", { params: { path: { user_id: id } }, signal })),
    staleTime: 60_000,
  });

/** The user's own work on an assignment. */
export const work = (id: string) =>
  queryOptions({
    queryKey: ["assignments", id, "work"],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/assignments/{assignment_id}/work", { params: { path: { assignment_id: id } }, signal })),
    refetchInterval: 10_000,
  });

/** The error of the lab's memory predictions. */
export const accuracy = queryOptions({
  queryKey: ["accuracy"],
  queryFn: ({ signal }) => data(api.GET("/v1/estimates/accuracy", { signal })),
});

export const nodeEvents = (name: string) =>
  queryOptions({
    queryKey: ["nodes", name, "events"],
    queryFn: ({ signal }) => data(api.GET("/v1/nodes/{name}/events", { params: { path: { name } }, signal })),
  });

/** Under the key of the timeline, which shows them too. */
export const labHours = queryOptions({
  queryKey: ["timeline", "lab-hours"],
  queryFn: ({ signal }) => data(api.GET("/v1/lab-hours", { signal })),
  refetchInterval: 60_000,
});

export const timeline = (hours: number) =>
  queryOptions({
    queryKey: ["timeline", hours],
    queryFn: ({ signal }) => data(api.GET("/v1/timeline", { params: { query: { hours } }, signal })),
    refetchInterval: 15_000,
    placeholderData: keepPreviousData,
  });

export const nodeHistory = (name: string, hours: number) =>
  queryOptions({
    queryKey: ["nodes", name, "history", hours],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/nodes/{name}/history", { params: { path: { name }, query: { hours } }, signal })),
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });

export const tokens = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => data(api.GET("/v1/tokens", { params: { query: { limit: 100 } }, signal })),
});

/** The text of a small file. */
export const artifactText = (id: string, name: string, sha256: string) =>
  queryOptions({
    queryKey: ["artifact", id, name, sha256],
    queryFn: async ({ signal }) => (await file(artifactPath(id, name), signal)).text(),
    staleTime: Infinity,
  });

export function artifactPath(id: string, name: string): string {
  return address(`/v1/jobs/${id}/artifacts/${encodeURIComponent(name)}`);
}
