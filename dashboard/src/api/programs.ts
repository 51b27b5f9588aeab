/** Programs: sets of files that a user sent, named by the SHA-256 of their content. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";

import { address } from "./base";
import { api, data, file } from "./client";
import type { ProgramRead } from "./schema";

export const programs = infiniteQueryOptions({
  queryKey: ["programs", "list"],
  queryFn: ({ pageParam, signal }) =>
    data(api.GET("/v1/programs", { params: { query: { limit: 50, cursor: pageParam } }, signal })),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});

export const program = (sha256: string) =>
  queryOptions({
    queryKey: ["programs", sha256],
    queryFn: ({ signal }) => data(api.GET("/v1/programs/{sha256}", { params: { path: { sha256 } }, signal })),
    staleTime: Infinity,
  });

/** What programs find installed; it changes when a worker starts again. */
export const environments = queryOptions({
  queryKey: ["environment"],
  queryFn: ({ signal }) => data(api.GET("/v1/environment", { signal })),
  staleTime: 60_000,
});

export const programDifference = (sha256: string, other: string) =>
  queryOptions({
    queryKey: ["programs", sha256, "diff", other],
    queryFn: ({ signal }) =>
      data(
        api.GET("/v1/programs/{sha256}/diff/{other_sha256}", {
          params: { path: { sha256, other_sha256: other } },
          signal,
        }),
      ),
    staleTime: Infinity,
  });

export function programFilePath(sha256: string, path: string): string {
  return address(`/v1/programs/${sha256}/files/${path.split("/").map(encodeURIComponent).join("/")}`);
}

export const programFile = (sha256: string, path: string) =>
  queryOptions({
    queryKey: ["artifact", "program", sha256, path],
    queryFn: async ({ signal }) => (await file(programFilePath(sha256, path), signal)).text(),
    staleTime: Infinity,
  });

export interface SentFile {
  path: string;
  content: Blob;
}

/** Sends files as a program. Files that were sent before are the same program. */
export function sendProgram(files: readonly SentFile[], name: string | null): Promise<ProgramRead> {
  const form = new FormData();
  if (name !== null) form.append("name", name);
  for (const { path, content } of files) form.append("files", content, path);
  return send(form);
}

export function sendArchive(archive: File): Promise<ProgramRead> {
  const form = new FormData();
  form.append("name", archive.name.replace(/\.(zip|tar|tgz|tar\.\w+)$/i, ""));
  form.append("archive", archive, archive.name);
  return send(form);
}

function send(form: FormData): Promise<ProgramRead> {
  return data(api.POST("/v1/programs", { body: form as never, bodySerializer: (body) => body as unknown as FormData }));
}

/** The program with one file replaced, as a new program. */
export async function sendChanged(program: ProgramRead, path: string, text: string): Promise<ProgramRead> {
  const files = await Promise.all(
    program.files.map(async (entry) => ({
      path: entry.path,
      content:
        entry.path === path
          ? new Blob([text], { type: "text/plain" })
          : await (await file(programFilePath(program.sha256, entry.path))).blob(),
    })),
  );
  return sendProgram(files, program.upload?.name ?? null);
}
