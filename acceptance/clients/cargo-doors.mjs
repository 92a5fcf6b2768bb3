/**
 * Every form of a URL that could lead to a version of a crate, below the mount of its repository.
 * @param {{ name: string, version: string, cksum: string }} crate
 * @returns {string[]}
 */
export function cargoDoors({ name, version, cksum }) {
  const capital = name.charAt(0).toUpperCase() + name.slice(1);
  const escaped = `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
  return [name, capital, name.toUpperCase(), escaped].flatMap((spelling) => {
    const folder = `/api/v1/crates/${spelling}`;
    return [
      `${folder}/${version}/download`,
      `${folder}/${version}/download?x=1`,
      `${folder}/${version.replace('.', '%2E')}/download`,
      `${folder}/${version}+meta/download`,
      `${folder}/${version}%2Bmeta/download`,
      `${folder}/v${version}/download`,
      `${folder}/${version}/download/`,
      `${folder}//${version}/download`,
      `${folder}/./${version}/download`,
      `${folder}/0.0.1/../${version}/download`,
      `${folder}%2F${version}%2Fdownload`,
      `${folder}/${version}/${cksum}/download`,
      `${folder}/${version}/${cksum}/download?x=1`,
      `${folder}/${version}/${cksum.toUpperCase()}/download`,
      `${folder}/${version}/${'0'.repeat(64)}/download`,
      `${folder}/0.0.1/${cksum}/download`,
      `/api/v1//crates/${spelling}/${version}/download`,
      `/api/%761/crates/${spelling}/${version}/download`,
      `/dl/${spelling}/${version}/download`,
      `/${spelling}/${version}/download`,
      `/crates/${spelling}/${spelling}-${version}.crate`,
      `/crates/${spelling}/${version}/download`,
    ];
  });
}
