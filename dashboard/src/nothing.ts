/** Replaces a package that a library needs only in its own tests. */
export default undefined;
