import { SaxesParser } from 'saxes';
import { messageOf } from '../api/errors.js';
import { malformed } from './malformed.js';

/** The deepest nesting of elements. Metadata of repositories has six. */
const DEEPEST = 32;
/** The most characters without a tag: of a text, of comments, or of one tag. */
const LONGEST = 1024 * 1024;
/** Characters that are read at once. */
const PIECE = 64 * 1024;

/** Receives the elements of a document. Prefixes of their names are left out: `/metadata/package/format/sourcerpm`. */
export interface XmlHandler {
  /** The start of an element. Attributes have their names as they stand there, `xml:base` for one. */
  open(path: string, attributes: Readonly<Record<string, string>>): void;
  /** The end of an element. @param text since the last tag, without blanks around it */
  close(path: string, text: string): void;
}

/**
 * Reads an XML document piece by piece, holding its open elements and one text. Document types are refused, and with them all entities
 * but those of XML itself: nothing is expanded and nothing fetched.
 */
export class XmlReader {
  readonly #subject: string;
  readonly #parser = new SaxesParser<{ xmlns: false; position: false }>({ xmlns: false, position: false });
  readonly #decoder = new TextDecoder();
  readonly #paths: string[] = [];
  #text = '';
  /** Characters since the last tag, but for those of its piece. */
  #silent = 0;

  /** @param subject of messages */
  constructor(subject: string, handler: XmlHandler) {
    this.#subject = subject;
    const parser = this.#parser;
    parser.on('doctype', () => {
      throw new Error('expected no document type');
    });
    parser.on('opentag', ({ name, attributes }) => {
      if (this.#paths.length === DEEPEST) throw new Error(`expected ${DEEPEST} levels of elements at most`);
      const path = `${this.#paths.at(-1) ?? ''}/${name.slice(name.indexOf(':') + 1)}`;
      this.#paths.push(path);
      this.#begin();
      handler.open(path, attributes);
    });
    parser.on('closetag', () => {
      const text = this.#text.trim();
      this.#begin();
      handler.close(this.#paths.pop() as string, text);
    });
    const add = (text: string): void => void (this.#text += text);
    parser.on('text', add);
    parser.on('cdata', add);
  }

  /** Reads a piece. @throws EntrepotError `upstream-unavailable` for what is no such document */
  write(bytes: Uint8Array): void {
    this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Ends the document. @throws EntrepotError `upstream-unavailable` for one that is not complete */
  end(): void {
    this.#read(this.#decoder.decode());
    this.#try(() => void this.#parser.close());
  }

  #read(text: string): void {
    this.#try(() => {
      for (let at = 0; at < text.length; at += PIECE) {
        const piece = text.slice(at, at + PIECE);
        this.#silent += piece.length;
        this.#parser.write(piece);
        if (this.#silent > LONGEST) throw new Error(`expected a tag every ${LONGEST} characters at least`);
      }
    });
  }

  #begin(): void {
    this.#text = '';
    this.#silent = 0;
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw malformed(this.#subject, `it is no XML of that kind: ${messageOf(error).slice(0, 200)}`, error);
    }
  }
}
