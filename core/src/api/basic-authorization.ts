/** The `Authorization` header of a user and a password (RFC 7617 §2). A secret. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** The `Authorization` header of the user and the password in a URL. `undefined`: it names none, or none that can be read. A secret. */
export function urlAuthorization({ username, password }: URL): string | undefined {
  if (username === '') return undefined;
  try {
    return basicAuthorization(decodeURIComponent(username), decodeURIComponent(password));
  } catch {
    return undefined;
  }
}
