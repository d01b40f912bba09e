/** The version of this package, for files that outlive it. A test keeps it equal to package.json. */
export const version = '0.1.0';
