import { Lru } from '@entrepot/core/formats';
import ipaddr from 'ipaddr.js';
import { addressOf, networksOf } from '../config/networks.js';

/** The most addresses that are remembered. */
const REMEMBERED = 10_000;
/** Parts of 16 bits of an IPv6 address that name a network: one customer has all addresses of a /64, and may use another one for each request. */
const NETWORK_PARTS = 4;

/** The addresses of clients as they are counted: IPv4 each by itself, IPv6 by networks of /64. */
export class CallerAddresses {
  readonly #isExempt: ((address: string) => boolean) | undefined;
  readonly #known = new Lru<{ readonly key: string | undefined }>(REMEMBERED);

  /** @param exempt networks that are not counted */
  constructor(exempt: readonly string[]) {
    this.#isExempt = exempt.length === 0 ? undefined : networksOf(exempt);
  }

  /** The name under which an address is counted. `undefined`: it is not. */
  keyOf(address: string): string | undefined {
    if (this.#isExempt === undefined && !address.includes(':')) return address;
    let known = this.#known.get(address);
    if (known === undefined) {
      known = { key: this.#isExempt?.(address) === true ? undefined : countedAs(address) };
      this.#known.set(address, known);
    }
    return known.key;
  }
}

function countedAs(text: string): string {
  const address = addressOf(text);
  if (!(address instanceof ipaddr.IPv6)) return address?.toString() ?? text;
  const network = address.parts.map((part, at) => (at < NETWORK_PARTS ? part : 0));
  return `${new ipaddr.IPv6(network).toString()}/64`;
}
