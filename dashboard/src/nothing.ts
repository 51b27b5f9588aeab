/** Stands for a package that a library names in its own tests alone. */
export default undefined;
