/** The front of errors/: the table of codes, and every constructor of a public error, by subject. */
export * from './errors/error.ts';
export * from './errors/access.ts';
export * from './errors/pictures.ts';
export * from './errors/requests.ts';
export * from './errors/resources.ts';
export * from './errors/runners.ts';
