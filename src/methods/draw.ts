/** Rows drawn at random, by a seed. */
import seedrandom from 'seedrandom';

/**
 * `size` of the whole numbers below `count`, without replacement and in random order: the first steps of Fisher and
 * Yates' shuffle on the seedrandom generator. With one seed a smaller draw is the beginning of a larger one.
 *
 * @param size at most `count` are drawn
 */
export function drawRows(count: number, size: number, seed: string): Uint32Array {
  const order = Uint32Array.from(Array(count).keys());
  const random = seedrandom(seed);
  const drawn = Math.min(count, size);
  for (let i = 0; i < drawn; i++) {
    const j = i + Math.floor(random() * (count - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order.slice(0, drawn);
}
