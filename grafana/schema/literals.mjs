// Writes each dashboard as a literal of its type: TypeScript checks a literal down to members that the type does not have.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [from, to] = process.argv.slice(2);
const files = readdirSync(from).filter((name) => name.endsWith('.json'));
if (files.length === 0) throw new Error(`no dashboard in ${from}`);
for (const file of files) {
  const text = readFileSync(join(from, file), 'utf8');
  const name = basename(file, '.json');
  writeFileSync(join(to, `${name}.ts`), `import type { Board } from './types';\n\nexport const board: Board = ${text.trimEnd()};\n`);
}
