// Reads a question a line, {"text": …}, and answers where the grammar finds errors in the text, as [start, end] in UTF-16
// code units. It understands nothing and prints nothing else.
import { createInterface } from "node:readline";
import { parser } from "@grafana/lezer-logql";

function errorsOf(text) {
  const found = [];
  parser.parse(text).iterate({
    enter: (node) => {
      if (node.type.isError) found.push([node.from, node.to]);
    },
  });
  return found;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify({ errors: errorsOf(JSON.parse(line).text) }) + "\n");
}
