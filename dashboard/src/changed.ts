/** The fields of a form that differ from what it began with. The others stay as another user may have set them meanwhile. */
export function changed<T extends object>(before: T, after: T): Partial<T> {
  const differ = Object.entries(after).filter(
    ([name, entry]) => JSON.stringify(entry) !== JSON.stringify(before[name as keyof T]),
  );
  return Object.fromEntries(differ) as Partial<T>;
}
