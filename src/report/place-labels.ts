/** Where labels go so that none covers another: beside the ends of lines, and around points. Lengths in pixels. */

/** Ordinary letters of the figures' font are this wide, as a part of the font's size; rather too wide than too narrow. */
const LETTER = 0.58;

/** Width of a text that is not measured, for there is no canvas. */
export function textWidth(text: string, fontSize: number): number {
  return LETTER * fontSize * text.length;
}

/**
 * Moves positions along one axis apart as little as is needed: neighbours keep their order and stand at least `gap` apart, all
 * within 0..`length` if there is room. Those that push each other stand around their common mean (the pool-adjacent-
 * violators algorithm, which gives the least sum of squared moves; the ends of the axis are applied to each pool).
 *
 * @returns the new positions, in the order of the old
 */
export function spread(positions: readonly number[], gap: number, length: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b] || a - b);
  /** Neighbours that touch: how many, and where their middle would like to be. */
  const pools: {size: number; wish: number}[] = [];
  const start = ({size, wish}: {size: number; wish: number}) =>
    Math.max(0, Math.min(wish - (gap * (size - 1)) / 2, length - gap * (size - 1)));
  for (const i of order) {
    let pool = {size: 1, wish: positions[i]};
    for (let last = pools.at(-1); last && start(last) + gap * last.size > start(pool); last = pools.at(-1)) {
      pools.pop();
      const size = last.size + pool.size;
      pool = {size, wish: (last.size * last.wish + pool.size * pool.wish) / size};
    }
    pools.push(pool);
  }
  const moved = new Array<number>(positions.length);
  let next = 0;
  for (const pool of pools) {
    for (let i = 0; i < pool.size; i++) moved[order[next++]] = start(pool) + gap * i;
  }
  return moved;
}

/** A rectangle by its left upper corner. */
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const overlap = (a: Box, b: Box) =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));

/** What a label belongs to. */
export interface LabelledPoint {
  readonly x: number;
  readonly y: number;
  readonly label: string;
  /** Ends of the bars through the point, which labels rather do not cross. */
  readonly bars?: {readonly left: number; readonly right: number; readonly top: number; readonly bottom: number};
}

/** Middle of a label's text. */
export interface PlacedLabel {
  readonly x: number;
  readonly y: number;
  /** Where a line from a label that stands far off begins; the line ends at the point. */
  readonly leader: {readonly x: number; readonly y: number} | undefined;
}

/** Directions that are tried in this order at each distance; to the right first. */
const DIRECTIONS = [0, 180, 270, 90, 315, 225, 45, 135].map((degrees) => (degrees * Math.PI) / 180);
const DISTANCES = [9, 16, 26, 38, 52, 70];
/** Labels that are farther than this from their points have a leader. */
const NEAR = 16;

/** What a place costs: covered pixels of points and labels, of bars, and each pixel away from the point. */
const COST = {solid: 10, bar: 1, distance: 0.5};

/**
 * Sets labels one after the other where each covers no point, no label set before and no edge of the panel, crosses few
 * bars and is near to its point; where no place is free, the one that covers least.
 */
export function placeLabels(
  points: readonly LabelledPoint[],
  {width, height, fontSize}: {width: number; height: number; fontSize: number},
): PlacedLabel[] {
  const radius = 5;
  const solid: Box[] = points.map(({x, y}) => ({x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius}));
  const bars: Box[] = points.flatMap(({x, y, bars}) => {
    if (!bars) return [];
    return [
      {x: bars.left, y: y - 1, width: bars.right - bars.left, height: 2},
      {x: x - 1, y: bars.top, width: 2, height: bars.bottom - bars.top},
    ];
  });
  const covered = (box: Box, others: readonly Box[]) => others.reduce((sum, other) => sum + overlap(box, other), 0);
  return points.map(({x, y, label}) => {
    const size = {width: textWidth(label, fontSize), height: fontSize + 2};
    const places = DISTANCES.flatMap((distance) =>
      DIRECTIONS.map((angle) => {
        // The near edge of the text, not its middle, is at this distance.
        const [across, down] = [Math.cos(angle), Math.sin(angle)];
        const middle = {x: x + across * (distance + size.width / 2), y: y + down * (distance + size.height / 2)};
        const box = {x: middle.x - size.width / 2, y: middle.y - size.height / 2, ...size};
        const outside = size.width * size.height - overlap(box, {x: 0, y: 0, width, height});
        const cost =
          COST.solid * (covered(box, solid) + outside) + COST.bar * covered(box, bars) + COST.distance * distance;
        const leader = distance > NEAR ? {x: x + across * distance, y: y + down * distance} : undefined;
        return {cost, box, label: {...middle, leader}};
      }),
    );
    const best = places.reduce((a, b) => (b.cost < a.cost ? b : a));
    solid.push(best.box);
    return best.label;
  });
}
