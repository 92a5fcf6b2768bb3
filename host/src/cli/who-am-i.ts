import { userInfo } from 'node:os';

/** The name of the administrator, for a server that does not know it: that which was given, or that of the user. */
export function whoAmI({ by }: { readonly by?: string | undefined }): string {
  return by ?? userInfo().username;
}
