import { userInfo } from 'node:os';

/** The name of the administrator, for a server that does not know it: that which was given, or that of the user. */
export function whoAmI({ by }: { readonly by?: string | undefined }): string {
  return by ?? userName();
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user may be a number that no name belongs to.
    return `uid ${process.getuid?.()}`;
  }
}
