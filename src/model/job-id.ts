/** A random UUID as `randomUUID` writes it. It becomes the name of a file, on the client and at servers. */
const JOB_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}
