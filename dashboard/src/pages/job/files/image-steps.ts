/** Images whose names differ in one number alone, such as `epoch-01.png` and `epoch-02.png`, are steps of one. */

export interface ImageSteps<A> {
  /** `epoch-….png`; the file's own name for one that stands alone. */
  name: string;
  steps: { step: number; image: A }[];
}

/** The last number of the name: a folder or an experiment may have one, too. */
const NUMBER = /(\d+)(\D*)$/;

/** In the order of their first images. Each has its steps in order of the number. */
export function inSteps<A extends { name: string }>(images: A[]): ImageSteps<A>[] {
  const groups = new Map<string, ImageSteps<A>>();
  for (const image of images) {
    const found = NUMBER.exec(image.name);
    const name = found === null ? image.name : `${image.name.slice(0, found.index)}…${found[2]}`;
    const group = groups.get(name) ?? { name, steps: [] };
    group.steps.push({ step: Number(found?.[1] ?? 0), image });
    groups.set(name, group);
  }
  return [...groups.values()].map(({ name, steps }) =>
    steps.length === 1 ? { name: steps[0]!.image.name, steps } : { name, steps: steps.sort((a, b) => a.step - b.step) },
  );
}
