// What the scripts share: scenarios run one after another, and slots that the test around them moves.

import { createInterface } from "node:readline";

export const HOST = "127.0.0.1";
export const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
export const everyNodeKeys = Array.from({ length: 300 }, (_, number) => `key:${number}`);
export const [mode, ...ports] = process.argv.slice(2).map((word) => Number(word) || word);

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Run each function of `scenarios`, and tell the test which passed; the first failure ends the process. */
export async function run(scenarios) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      await scenario();
    } catch (error) {
      console.log(`${name} failed:`, error);
      process.exit(1);
    }
    console.log(`passed ${name}`);
  }
  process.exit(0);
}

/** Ask again until the answer is not null: what a replica says before it has heard of a key. */
export async function answered(ask) {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const answer = await ask();
    if (answer !== null) return answer;
  }
  throw new Error("no answer within 10 s");
}

/** Do something while the key's slot is elsewhere, or halfway there. */
export async function whileMoved(how, key, act) {
  await tell(`${how} ${key}`);
  try {
    await act();
  } finally {
    await tell("home");
  }
}

async function tell(line) {
  console.log(line);
  await answers.next();
}
