/** Loads the addon; with `path` it only says where the file is. Throws where there is none, or it does not fit. */
export declare function load(options?: { path?: boolean }): unknown;
