/** Student's t at 97.5 % for 1 to 30 degrees of freedom. */
const T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL = 1.96;

/** Half of the 95 % interval of a mean of n values with the deviation `sd` (n - 1); null where n is 1. */
export function halfWidth(sd: number | null, n: number): number | null {
  if (sd === null || n < 2) return null;
  return ((T[n - 2] ?? NORMAL) * sd) / Math.sqrt(n);
}
