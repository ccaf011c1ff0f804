// One comparison as --where takes it: a key without its kind, a value without quotes.
function where(text) {
  const match = /^\s*(`[^`]*`|[^=<>!`]+?)\s*(<=|>=|!=|<>|=|<|>)\s*(.*?)\s*$/s.exec(text);
  if (!match) throw new FilterError("Write KEY = VALUE, or another of != < <= > >= between them.");
  const [, written, sign, value] = match;
  const path = written[0] !== "`" && KINDS[written.split(".", 1)[0].toLowerCase()] && written.includes(".");
  const field = path ? new Filter(written).field() : resolved(unquoted(written));
  let operand = value;
  if (field.text && !(field.setting && NUMBER.test(value))) {
    operand = `'"`.includes(value[0] ?? " ") ? value : value.includes("'") ? `"${value}"` : `'${value}'`;
    if (field.status && !STATUSES.includes(unquoted(operand).toUpperCase())) throw new FilterError(`No status is called ${value}.`);
    if (field.status) operand = operand.toUpperCase();
  } else if (field.time && !NUMBER.test(value) && !/^['"]/.test(value)) {
    operand = /ago\s*$/i.test(value) ? value : `'${value}'`;
  }
  const parser = new Filter(`${sign} ${operand}`);
  const holds = parser.operator(field);
  if (parser.current.kind !== "end") parser.fail("one value");
  return (run) => holds(field.of(run) ?? null);
}

function resolved(key) {
  const found = [];
  const lower = key.toLowerCase();
  if (TEXTS[lower] || TIMES[lower] || lower === "duration") found.push(attribute(lower));
  for (const kind of ["metric", "param", "tag"]) {
    if (runs.some((run) => Object.hasOwn(run[`${kind}s`], key))) found.push(fieldOf(kind, key));
  }
  if (!found.length) throw new FilterError(`No run has a param, metric or tag ${key}.`);
  if (found.length > 1) throw new FilterError(`${key} is ambiguous: write metrics.${key}, params.${key} or tags.${key}.`);
  return found[0];
}

// The runs that a text selects: a condition if it has an operator, else the words that a run has to contain.
function matchingRuns(text) {
  if (!/[=<>]|\s(i?like|between)\s|\sin\s*\(|\sis\s+(not\s+)?null\b/i.test(text)) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    // Any digit is in some run id, so ids are searched for longer words only.
    const isIn = (run, word) => textOf(run).includes(word) || (word.length >= 6 && run.id.includes(word));
    return runs.filter((run) => words.every((word) => isIn(run, word)));
  }
  let condition;
  try {
    condition = new Filter(text).whole();
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    try {
      condition = where(text);
    } catch (other) {
      if (!(other instanceof FilterError)) throw other;
      throw /\b(and|or|not)\b/i.test(text) ? error : other;
    }
  }
  return runs.filter(condition);
}

const texts = new Map();
function textOf(run) {
  if (!texts.has(run.id)) {
    const parts = [run.label, run.name, run.experiment, run.status, run.user];
    for (const table of [run.params, run.tags]) parts.push(...Object.entries(table).flat());
    texts.set(run.id, parts.join("\n").toLowerCase());
  }
  return texts.get(run.id);
}
