/** Sets the hash of the body, which the server holds it against. It is not hashed again for that. */
export function withPayloadHash(hex: string) {
  return <Args extends { readonly request: unknown }, Result>(next: (args: Args) => Promise<Result>) =>
    async (args: Args): Promise<Result> => {
      const { headers } = args.request as { readonly headers: Record<string, string> };
      headers['x-amz-content-sha256'] = hex;
      return await next(args);
    };
}
