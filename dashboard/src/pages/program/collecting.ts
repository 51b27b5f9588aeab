/** Files that a user drops or chooses, with their paths in the program. */

import type { SentFile } from "../../api/programs";

export interface Collected {
  /** The folder's name, or that of the only file. */
  name: string | null;
  files: SentFile[];
  /** Paths that are never part of a program. */
  skipped: string[];
}

const SKIPPED_FOLDERS = new Set([
  ".git",
  ".venv",
  "venv",
  "__pycache__",
  "node_modules",
  ".ipynb_checkpoints",
  ".idea",
]);
const SKIPPED_FILES = /^(\.DS_Store|Thumbs\.db|.*\.py[co])$/;
const ARCHIVE = /\.(zip|tar|tgz|tar\.(gz|bz2|xz))$/i;

export function isArchive(file: { name: string }): boolean {
  return ARCHIVE.test(file.name);
}

/** The files below their common folder, if there is one, without caches and version control. */
export function collected(given: readonly SentFile[]): Collected {
  const kept = given.filter(({ path }) => !isSkipped(path));
  const skipped = given.filter(({ path }) => isSkipped(path)).map(({ path }) => path);
  const folder = commonFolder(kept.map(({ path }) => path));
  if (folder === null) return { name: kept.length === 1 ? kept[0]!.path : null, files: kept, skipped };
  const files = kept.map(({ path, content }) => ({ path: path.slice(folder.length + 1), content }));
  return { name: folder, files, skipped };
}

function isSkipped(path: string): boolean {
  const parts = path.split("/");
  return parts.slice(0, -1).some((part) => SKIPPED_FOLDERS.has(part)) || SKIPPED_FILES.test(parts.at(-1)!);
}

function commonFolder(paths: readonly string[]): string | null {
  const folders = new Set(paths.map((path) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "")));
  const [only] = folders;
  return folders.size === 1 && only !== undefined && only !== "" ? only : null;
}

export function fromInput(list: FileList): SentFile[] {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, content: file }));
}

/** Folders are read to their end. Call it in the event itself: the browser forgets the items after it. */
export function fromDrop(items: DataTransferItemList): Promise<SentFile[]> {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  return Promise.all(entries.map(filesOf)).then((found) => found.flat());
}

async function filesOf(entry: FileSystemEntry): Promise<SentFile[]> {
  if (isFile(entry)) {
    const content = await new Promise<File>((found, failed) => entry.file(found, failed));
    return [{ path: entry.fullPath.replace(/^\//, ""), content }];
  }
  if (SKIPPED_FOLDERS.has(entry.name)) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const next = await new Promise<FileSystemEntry[]>((found, failed) => reader.readEntries(found, failed));
    if (next.length === 0) break;
    children.push(...next);
  }
  return (await Promise.all(children.map(filesOf))).flat();
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}
