/** The address of a file beside the script. Assets have stable names; their ETag says when they changed. */
export const asset = (name: string) => new URL(name, import.meta.url).href;
