/** The typed client, from the API's contract. */

import createClient from "openapi-fetch";

import { hear } from "../browser/clock";
import { labAddress } from "./base";
import { marked, settled, writeJson } from "./exact";
import type { paths, Problem } from "./schema";
import { csrf, forget } from "./session";

/** An error response of the API. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** The lab did not answer. */
export class Unreachable extends Error {
  constructor() {
    super("The lab does not answer.");
  }
}

async function authorized(input: Request): Promise<Response> {
  const held = csrf();
  if (held !== null && input.method !== "GET") input.headers.set("X-CSRF-Token", held);
  let response: Response;
  try {
    response = await fetch(input);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  hear(response.headers.get("Date"));
  if (response.status === 401 && held !== null && held === csrf()) forget();
  return response;
}

/** Responses with integers that JavaScript numbers would round. */
const rounded = new WeakSet<Response>();

/** The response, safe for a JSON parser that rounds; `data` restores the integers. */
async function exactly(input: Request): Promise<Response> {
  const response = await authorized(input);
  if (!response.headers.get("Content-Type")?.includes("json")) return response;
  const { status, statusText, headers } = response;
  const text = await response.text();
  const safe = marked(text);
  const answer = new Response(safe, { status, statusText, headers: withoutLength(headers) });
  if (safe !== text) rounded.add(answer);
  return answer;
}

function withoutLength(given: Headers): Headers {
  const headers = new Headers(given);
  headers.delete("Content-Length");
  return headers;
}

export const api = createClient<paths>({
  baseUrl: labAddress,
  fetch: exactly,
  bodySerializer: (body) => writeJson(body),
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The data of a response, or a `Refused`. */
export async function data<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data: found, error, response } = await asked;
  if (response.ok && found !== undefined) return (rounded.has(response) ? settled(found) : found) as T;
  throw new Refused(problemOf(error, response));
}

/** For a response without content; throws `Refused` on an error. */
export async function done(asked: Promise<Answer<unknown>>): Promise<void> {
  const { error, response } = await asked;
  if (!response.ok) throw new Refused(problemOf(error, response));
}

/** A file from the API. */
export async function file(path: string, signal?: AbortSignal): Promise<Response> {
  const response = await authorized(new Request(new URL(path, location.origin), { signal: signal ?? null }));
  if (!response.ok) throw new Refused(problemOf(await response.json().catch(() => null), response));
  return response;
}

function problemOf(body: unknown, response: Response): Problem {
  if (typeof body === "object" && body !== null && "detail" in body) return settled(body) as Problem;
  const detail = `The lab answered ${response.status} ${response.statusText}.`;
  return {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail,
    instance: null,
    errors: null,
  };
}
