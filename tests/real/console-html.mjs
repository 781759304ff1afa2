// Reads pages of HTML, an array of texts in JSON, and writes what is wrong with them by the standard.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(`${process.argv[2]}/`));
const { HtmlValidate } = require('html-validate');

const judge = new HtmlValidate({ root: true, extends: ['html-validate:standard'] });
const pages = JSON.parse(readFileSync(0, 'utf8'));
const wrong = [];
for (const page of pages) {
  const { results } = await judge.validateString(page);
  for (const { messages } of results) {
    wrong.push(...messages.map(({ ruleId, message, line }) => `${ruleId}: ${message}: ${page.split('\n')[line - 1]}`));
  }
}
process.stdout.write(JSON.stringify(wrong));
