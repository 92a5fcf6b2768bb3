import type { ByteWriter } from './byte-writer.js';
import { COPY, type ObjectVisitor } from './json-scanner.js';

/** Writes objects member by member; where commas go is its business. */
export class JsonWriter {
  readonly output: ByteWriter;
  #first = true;

  constructor(output: ByteWriter) {
    this.output = output;
  }

  open(): void {
    this.output.text('{');
    this.#first = true;
  }

  close(): void {
    this.output.text('}');
    this.#first = false;
  }

  key(key: string): void {
    this.output.text(`${this.#first ? '' : ','}${JSON.stringify(key)}:`);
    this.#first = false;
  }

  member(key: string, value: unknown): void {
    this.key(key);
    this.output.text(JSON.stringify(value));
  }

  /** The member goes out with its value as it is. */
  copy(key: string): typeof COPY {
    this.key(key);
    return COPY;
  }

  /** The member goes out with what `visitor` makes of its value. */
  visit(key: string, visitor: ObjectVisitor): ObjectVisitor {
    this.key(key);
    return visitor;
  }

  /** A visitor whose object goes out, with the members that `member` says; another value goes out as it is. */
  object(member: ObjectVisitor['member'], beforeClose?: () => void): ObjectVisitor {
    return {
      enter: () => this.open(),
      member,
      leave: () => {
        beforeClose?.();
        this.close();
      },
      otherwise: () => COPY,
    };
  }
}
