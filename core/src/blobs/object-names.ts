import type { Digest } from '../api/digest.js';
import { EntrepotError } from '../api/errors.js';

// <prefix>/
//   layout.json                  {"version":1,"storeId":…}
//   v1/sha256/00 … ff/<hex>      one object a blob, named by its digest: the same names as in a folder
//   damaged/<hex>                a blob whose bytes are no longer those of its digest, for who looks into it
//   probe/<uuid>                 what a check writes, and deletes again

const BLOB_NAME = /^[0-9a-f]{64}$/;

/** The names of the objects of one store in a bucket. */
export class ObjectNames {
  /** The beginning of all names: empty, or with a slash at its end. */
  readonly root: string;
  /** The beginning of the names of all blobs. */
  readonly blobs: string;
  readonly layout: string;

  /** @param prefix without a slash at its end */
  constructor(prefix: string) {
    this.root = prefix === '' ? '' : `${prefix}/`;
    this.blobs = `${this.root}v1/sha256/`;
    this.layout = `${this.root}layout.json`;
  }

  /** @throws EntrepotError `storage` for what is no digest */
  blob(digest: Digest): string {
    const hex = digest.slice('sha256:'.length);
    if (!BLOB_NAME.test(hex))
      throw new EntrepotError('storage', `expected a sha256 digest, found ${JSON.stringify(digest)}`);
    return `${this.blobs}${hex.slice(0, 2)}/${hex}`;
  }

  damaged(digest: Digest): string {
    return `${this.root}damaged/${digest.slice('sha256:'.length)}`;
  }

  probe(id: string): string {
    return `${this.root}probe/${id}`;
  }

  /** The digest that an object is named by. `undefined`: it is no blob. */
  digestOf(key: string): Digest | undefined {
    const [folder = '', name = '', ...more] = key.slice(this.blobs.length).split('/');
    const isBlob = more.length === 0 && BLOB_NAME.test(name) && name.startsWith(folder) && folder.length === 2;
    return key.startsWith(this.blobs) && isBlob ? `sha256:${name}` : undefined;
  }
}
