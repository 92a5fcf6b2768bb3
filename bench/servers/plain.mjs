/** A plain cache: it knows nothing of archives. */
export function plain(nginx) {
  return {
    ...nginx,
    async launch(settings) {
      const server = await nginx.launch(settings);
      return { ...server, archive: new URL(server.files).origin };
    },
  };
}
