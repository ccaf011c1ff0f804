// The filter language of --filter and --where, for what the page has: no statistics of histories and no datasets.
class FilterError extends Error {}

const LARGEST = Number.MAX_VALUE;
const NUMBER = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$/;
const BARE = "[^\\s=<>!()'\"`,&|;\\u2018\\u2019\\u201c\\u201d]";
const QUOTED = "'(?:''|\\\\'|[^'])*'|\"(?:\"\"|\\\\\"|[^\"])*\"|`(?:``|[^`])*`";
const TOKEN = new RegExp(
  `(?<space>\\s+)|(?<number>[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!${BARE}))`
  + `|(?<path>(?:\`\\w+\`|[\\p{L}_][\\p{L}\\p{N}_]*)\\.(?:(?:${QUOTED})|${BARE}*))|(?<word>${BARE}+)`
  + `|(?<quoted>${QUOTED})|(?<sign><=|>=|!=|<>|==|[=<>(),])`, "uy");
const KINDS = {
  metric: "metric", metrics: "metric", param: "param", params: "param", parameter: "param", parameters: "param",
  tag: "tag", tags: "tag", attr: "attribute", attribute: "attribute", attributes: "attribute", run: "attribute",
  experiment: "experiment", experiments: "experiment",
};
const TEXTS = {
  run_id: "id", run_name: "name", status: "status", user_id: "user", parent_run_id: "parent",
  experiment_id: "experiment_id", experiment_name: "experiment",
};
const TIMES = { start_time: "start", created: "start", end_time: "end" };
const STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
const UNITS = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 };
const unquoted = (text) => (text.length > 1 && "'\"`".includes(text[0]) && text[0] === text.at(-1)
  ? text.slice(1, -1) : text);
const clamp = (number) => Math.min(Math.max(number, -LARGEST), LARGEST);

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new FilterError(`Not understood: ${text.slice(at, at + 20)}`);
    const [kind] = Object.entries(match.groups).find(([, part]) => part !== undefined);
    if (kind !== "space") found.push({ kind, text: match[0], at });
  }
  return [...found, { kind: "end", text: "", at: text.length }];
}

// The value of a field for one run: null if the run lacks it.
function attribute(name) {
  if (TEXTS[name]) return { text: true, status: name === "status", of: (run) => run[TEXTS[name]] || null };
  if (TIMES[name]) return { time: true, of: (run) => run[TIMES[name]] };
  if (name === "duration") return { duration: true, of: (run) => run.seconds };
  throw new FilterError(`This page has no attribute ${name}.`);
}

function metric(key) {
  return { of: (run) => (Object.hasOwn(run.metrics, key) ? clamp(Number(run.metrics[key])) : null) };
}

function setting(table, key) {
  return { text: true, setting: true, of: (run) => (Object.hasOwn(run[table], key) ? run[table][key] : null) };
}

function fieldOf(kind, key) {
  if (kind === "experiment") return attribute(`experiment_${key}`);
  if (kind === "attribute") return attribute(key.toLowerCase());
  return kind === "metric" ? metric(key) : setting(`${kind}s`, key);
}

class Filter {
  constructor(text) {
    this.tokens = tokens(text);
    this.index = 0;
  }
  get current() { return this.tokens[this.index]; }
  advance() { return this.tokens[Math.min(this.index++, this.tokens.length - 1)]; }
  keyword(...words) {
    const word = this.current.kind === "word" ? this.current.text.toUpperCase() : "";
    return words.includes(word) ? (this.advance(), word) : "";
  }
  sign(...signs) {
    return this.current.kind === "sign" && signs.includes(this.current.text) ? this.advance().text : "";
  }
  fail(what) { throw new FilterError(`Expected ${what}${this.current.text ? `, not ${this.current.text}` : ""}.`); }

  whole() {
    const condition = this.either();
    if (this.current.kind !== "end") this.fail("AND, OR or the end");
    return condition;
  }
  either() {
    const parts = [this.both()];
    while (this.keyword("OR")) parts.push(this.both());
    return (run) => parts.some((part) => part(run));
  }
  both() {
    const parts = [this.negation()];
    while (this.keyword("AND")) parts.push(this.negation());
    return (run) => parts.every((part) => part(run));
  }
  negation() {
    if (this.keyword("NOT")) {
      const inner = this.negation();
      return (run) => !inner(run);
    }
    if (!this.sign("(")) return this.comparison();
    const inner = this.either();
    if (!this.sign(")")) this.fail("a closing parenthesis");
    return inner;
  }
  field() {
    const token = this.advance();
    if (token.kind === "path") {
      const [prefix] = token.text.split(".", 1);
      const written = token.text.slice(prefix.length + 1);
      const kind = KINDS[prefix.replaceAll("`", "").toLowerCase()];
      if (!kind || !written) throw new FilterError(`This page has no ${token.text}.`);
      return kind === "metric" ? metric(this.lastOf(token, written)) : fieldOf(kind, unquoted(written));
    }
    if (token.kind === "word" || token.kind === "quoted") return attribute(unquoted(token.text).toLowerCase());
    this.index -= 1;
    return this.fail("a field such as metrics.loss, params.lr or status");
  }
  // The key of a metric whose last value is meant; the page has no other statistic.
  lastOf(token, written) {
    const key = unquoted(written);
    const next = this.current;
    const follows = next.kind === "word" && next.text[0] === "." && next.at === token.at + token.text.length;
    const statistic = follows ? this.advance().text : key === written ? (/\.(min|max|mean|first|at|last)$/.exec(key)?.[0] ?? "") : "";
    if (statistic && statistic !== ".last") throw new FilterError("This page has the last value of each metric only.");
    return follows ? key : key.slice(0, key.length - statistic.length);
  }
  comparison() {
    const field = this.field();
    const holds = this.operator(field);
    return (run) => {
      const value = field.of(run);
      return holds(value ?? null);
    };
  }
  operator(field) {
    if (this.keyword("IS")) {
      const negated = this.keyword("NOT");
      if (!this.keyword("NULL")) this.fail("NULL");
      return (value) => (value === null) !== Boolean(negated);
    }
    const negated = this.keyword("NOT");
    const there = (test) => (value) => value !== null && test(value);
    const maybeNot = (test) => there((value) => test(value) !== Boolean(negated));
    if (this.keyword("IN")) {
      const operands = this.list(field);
      if (field.setting && typeof operands[0] === "number") {
        return there((text) => NUMBER.test(text) && operands.includes(clamp(Number(text))) !== Boolean(negated));
      }
      return maybeNot((value) => operands.includes(value));
    }
    if (this.keyword("BETWEEN")) {
      const low = this.value(field, true);
      if (!this.keyword("AND")) this.fail("AND");
      const high = this.value(field, true);
      if (negated) return compared(field, (value) => value < low || value > high);
      return compared(field, (value) => value >= low && value <= high);
    }
    const like = this.keyword("LIKE", "ILIKE");
    if (like) {
      if (!field.text) throw new FilterError(`${like} compares text.`);
      return maybeNot(likePattern(this.value(field, false), like === "ILIKE"));
    }
    const sign = negated ? "" : this.sign("=", "!=", "<>", "<", "<=", ">", ">=");
    if (!sign) this.fail("an operator");
    const operand = this.value(field, "=!<>".includes(sign[0]) && ["=", "!=", "<>"].includes(sign) ? undefined : true);
    const test = COMPARE[sign];
    return typeof operand === "number" ? compared(field, (value) => test(value, operand)) : there((value) => test(value, operand));
  }
  list(field) {
    if (!this.sign("(")) this.fail("a list in parentheses");
    const values = [this.value(field)];
    while (this.sign(",")) values.push(this.value(field, typeof values[0] === "number"));
    if (!this.sign(")")) this.fail("a closing parenthesis");
    return values;
  }
  value(field, numeric) {
    if (field.time) return this.moment();
    if (field.duration) return this.number() * this.unit();
    if (!field.text) return this.number();
    if (numeric && !field.setting) throw new FilterError("That is text: use =, !=, LIKE or IN.");
    if (numeric || (numeric === undefined && field.setting && this.current.kind === "number")) return this.number();
    if (this.current.kind !== "quoted" || this.current.text[0] === "`") this.fail("text in quotes");
    return unquoted(this.advance().text);
  }
  number() {
    if (this.current.kind !== "number") this.fail("a number");
    return Number(this.advance().text);
  }
  unit(missing = 1) {
    const match = this.current.kind === "word" && /^(second|minute|hour|day|week)s?$/i.exec(this.current.text);
    return match ? (this.advance(), UNITS[match[1].toLowerCase()]) : missing;
  }
  moment() {
    if (this.current.kind === "quoted") {
      const moment = momentOf(unquoted(this.current.text));
      if (moment === null) this.fail("a date such as '2026-11-01 14:30'");
      return this.advance(), moment;
    }
    const amount = this.number();
    const unit = this.unit(0);
    if (!unit) return amount;
    if (!this.keyword("AGO")) this.fail("ago");
    return Date.now() - amount * unit * 1000;
  }
}

const COMPARE = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<>": (a, b) => a !== b,
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};

// A number compared with a param or tag matches only text that is written as a number.
function compared(field, test) {
  if (field.setting) return (text) => text !== null && NUMBER.test(text) && test(clamp(Number(text)));
  return (value) => value !== null && test(value);
}

// A date without a time zone is in local time.
function momentOf(words) {
  const text = /^\d{4}-\d{2}-\d{2}$/.test(words.trim()) ? `${words.trim()}T00:00` : words.trim().replace(" ", "T");
  const moment = new Date(text).getTime();
  return Number.isNaN(moment) ? null : moment;
}
