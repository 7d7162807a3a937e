/** The JSON text of who a user is, without braces: scripts put the state behind it. */
export function identityJson(user: string, name: string | undefined): string {
  const id = `"id":${JSON.stringify(user)}`;
  return name === undefined ? id : `${id},"name":${JSON.stringify(name)}`;
}
