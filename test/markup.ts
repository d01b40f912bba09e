/** Is a text well-formed? For SVG, and for HTML that keeps the rules of XML but for its declaration and empty elements. */
import {expect} from 'vitest';

/** Elements of HTML that are never closed. */
const EMPTY = ['meta', 'link', 'br', 'hr', 'img', 'input'];

/**
 * Every tag closed in order, attributes quoted, no stray `<` or `&`: the well-formedness rules of XML that an SVG
 * without comments, CDATA or entities of its own can break.
 *
 * @returns the names of all elements, in order
 */
export function elementsOf(document: string, root = 'svg'): string[] {
  const text = document.replace(/^<!DOCTYPE html>\s*/, '');
  const open: string[] = [];
  const seen: string[] = [];
  const tag = /<(\/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < text.length) {
    if (text[at] !== '<') {
      const end = text.indexOf('<', at) < 0 ? text.length : text.indexOf('<', at);
      expect(text.slice(at, end)).not.toMatch(/&(?!(amp|lt|gt|quot|apos|#\d+|#x[0-9a-f]+);)/i);
      at = end;
      continue;
    }
    tag.lastIndex = at;
    const match = tag.exec(text);
    if (!match) throw new Error(`not well-formed at: ${text.slice(at, at + 80)}`);
    const [whole, closing, name, , empty] = match;
    if (closing) expect(open.pop()).toBe(name);
    else {
      seen.push(name);
      if (!empty && !(root === 'html' && EMPTY.includes(name))) open.push(name);
    }
    at += whole.length;
  }
  expect(open).toEqual([]);
  expect(seen[0]).toBe(root);
  return seen;
}
