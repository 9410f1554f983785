// What must not pass. Were one of these taken, the compiler would complain of a directive without an error.
import type { Board } from './types';

type Panel = Board['panels'][number];
const place = { x: 0, y: 0, w: 4, h: 4 };

// @ts-expect-error: a title is a text
export const title: Pick<Board, 'title'> = { title: 7 };
// @ts-expect-error: there is no such member
export const member: Pick<Board, 'title'> = { titel: 'Spool' };
// @ts-expect-error: there is no such panel
export const type: Panel = { type: 'graph', links: [], options: {} };
// @ts-expect-error: a stat has no such mode
export const option: Panel = { type: 'stat', links: [], gridPos: place, options: { colorMode: 'rainbow' } };
// @ts-expect-error: a bar gauge has no such option
export const unknown: Panel = { type: 'bargauge', links: [], gridPos: place, options: { colour: 'red' } };
// @ts-expect-error: a line is not drawn so
export const custom: Panel = { type: 'timeseries', links: [], options: {}, fieldConfig: { defaults: { custom: { drawStyle: 'wave' } }, overrides: [] } };
