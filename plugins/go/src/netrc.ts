/** A user and a password. Secrets. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** Reads the logins of a netrc file by machine, the first of each (`host` or `host:port`). `default` and macros are left out. */
export function parseNetrc(text: string): ReadonlyMap<string, Credential> {
  const logins = new Map<string, Credential>();
  const words = text.split(/\s+/);
  let machine = '';
  let username = '';
  for (let at = 0; at < words.length; at += 1) {
    const value = words[at + 1] ?? '';
    if (words[at] === 'default') machine = '';
    else if (words[at] === 'machine') [machine, username, at] = [value, '', at + 1];
    else if (words[at] === 'login') [username, at] = [value, at + 1];
    else if (words[at] === 'password') {
      if (machine !== '' && !logins.has(machine)) logins.set(machine, { username, password: value });
      at += 1;
    }
  }
  return logins;
}
