// Vega's expressions without eval: our content security policy forbids making code out of text.
// Vega parses an expression to a tree (`ast: true`) and asks this object for a function that evaluates it:
//   vegaEmbed(element, spec, { ast: true, expr: interpreter })

const FORBIDDEN = new Set(["constructor", "__proto__", "prototype", "__defineGetter__", "__defineSetter__"]);

const CONSTANTS = {
  NaN: NaN, E: Math.E, LN10: Math.LN10, LN2: Math.LN2, LOG10E: Math.LOG10E, LOG2E: Math.LOG2E, PI: Math.PI,
  SQRT1_2: Math.SQRT1_2, SQRT2: Math.SQRT2, MIN_VALUE: Number.MIN_VALUE, MAX_VALUE: Number.MAX_VALUE, undefined,
};

const UNARY = {
  "+": (a) => +a, "-": (a) => -a, "~": (a) => ~a, "!": (a) => !a,
};

const BINARY = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "%": (a, b) => a % b,
  // Vega's own meaning of == is that of the language: null and undefined are alike.
  "==": (a, b) => a == b, "!=": (a, b) => a != b, "===": (a, b) => a === b, "!==": (a, b) => a !== b,
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "|": (a, b) => a | b, "&": (a, b) => a & b, "^": (a, b) => a ^ b, "<<": (a, b) => a << b, ">>": (a, b) => a >> b,
  ">>>": (a, b) => a >>> b,
};

const MATH = ["abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "exp", "floor", "hypot", "log", "max", "min",
  "pow", "round", "sin", "sqrt", "tan"];

const text = (method) => (value, ...rest) => String(value)[method](...rest);
// Of a list or a text, as its own method.
const own = (method) => (value, ...rest) => (Array.isArray(value) ? value : String(value))[method](...rest);
const part = (name) => (date) => new Date(date)[name]();

const FUNCTIONS = {
  ...Object.fromEntries(MATH.map((name) => [name, Math[name]])),
  isNaN: Number.isNaN,
  isFinite: Number.isFinite,
  random: Math.random,
  clamp: (value, low, high) => Math.max(low, Math.min(high, value)),
  now: Date.now,
  datetime: (...given) => (given.length === 1 ? new Date(given[0]) : given.length ? new Date(...given) : new Date()),
  utc: Date.UTC,
  time: (date) => new Date(date).getTime(),
  timezoneoffset: part("getTimezoneOffset"),
  date: part("getDate"), day: part("getDay"), year: part("getFullYear"), month: part("getMonth"),
  hours: part("getHours"), minutes: part("getMinutes"), seconds: part("getSeconds"),
  milliseconds: part("getMilliseconds"),
  utcdate: part("getUTCDate"), utcday: part("getUTCDay"), utcyear: part("getUTCFullYear"),
  utcmonth: part("getUTCMonth"), utchours: part("getUTCHours"), utcminutes: part("getUTCMinutes"),
  utcseconds: part("getUTCSeconds"), utcmilliseconds: part("getUTCMilliseconds"),
  length: (value) => (value == null ? undefined : value.length),
  indexof: own("indexOf"), lastindexof: own("lastIndexOf"), slice: own("slice"),
  parseFloat: Number.parseFloat, parseInt: Number.parseInt,
  upper: text("toUpperCase"), lower: text("toLowerCase"), substring: text("substring"), split: text("split"),
  replace: text("replace"), trim: text("trim"),
  regexp: (pattern, flags) => new RegExp(pattern, flags),
  test: (pattern, value) => new RegExp(pattern).test(value),
};

function evaluate(node, scope) {
  switch (node.type) {
    case "Literal":
      return node.regex ? new RegExp(node.regex.pattern, node.regex.flags) : node.value;
    case "Identifier":
      if (node.name === "datum") return scope.datum;
      if (node.name === "event") return scope.event;
      if (node.name === "item") return scope.item;
      // A signal is a parameter of the operator, with a mark before its name.
      return Object.hasOwn(CONSTANTS, node.name) ? CONSTANTS[node.name] : scope.params["$" + node.name];
    case "MemberExpression": {
      const object = evaluate(node.object, scope);
      const name = node.computed ? evaluate(node.property, scope) : node.property.name;
      if (FORBIDDEN.has(String(name))) throw new Error("an expression must not reach for " + name);
      return object[name];
    }
    case "CallExpression":
      return call(node, scope);
    case "ArrayExpression":
      return node.elements.map((element) => evaluate(element, scope));
    case "ObjectExpression": {
      const made = {};
      for (const { key, value } of node.properties) {
        const name = key.type === "Identifier" ? key.name : key.value;
        if (FORBIDDEN.has(String(name))) throw new Error("an expression must not set " + name);
        made[name] = evaluate(value, scope);
      }
      return made;
    }
    case "UnaryExpression":
      return UNARY[node.operator](evaluate(node.argument, scope));
    case "BinaryExpression":
      return BINARY[node.operator](evaluate(node.left, scope), evaluate(node.right, scope));
    case "LogicalExpression":
      return node.operator === "&&"
        ? evaluate(node.left, scope) && evaluate(node.right, scope)
        : evaluate(node.left, scope) || evaluate(node.right, scope);
    case "ConditionalExpression":
      return evaluate(evaluate(node.test, scope) ? node.consequent : node.alternate, scope);
    default:
      throw new Error("an expression of an unknown kind: " + node.type);
  }
}

function call(node, scope) {
  // Vega marks its own functions, which know about data and scales, by an underscore in some versions.
  const name = node.callee.name.replace(/^_/, "");
  if (name === "if") return evaluate(node.arguments[evaluate(node.arguments[0], scope) ? 1 : 2], scope);
  const given = node.arguments.map((argument) => evaluate(argument, scope));
  if (Object.hasOwn(FUNCTIONS, name)) return FUNCTIONS[name](...given);
  return scope.functions[name].apply(scope.functions, given);
}

// Two ends, or an end and a size, say where a mark lies: turn them into a start and a size.
function place(item, channels, ordered) {
  for (const [start, end, middle, size] of [["x", "x2", "xc", "width"], ["y", "y2", "yc", "height"]]) {
    if (channels[end]) {
      if (channels[start]) {
        if (ordered && item[start] > item[end]) [item[start], item[end]] = [item[end], item[start]];
        item[size] = item[end] - item[start];
      } else {
        item[start] = item[end] - (item[size] || 0);
      }
    }
    if (channels[middle]) item[start] = item[middle] - (item[size] || 0) / 2;
  }
}

export const interpreter = {
  operator: ({ functions }, { ast }) => (params) => evaluate(ast, { functions, params }),
  parameter: ({ functions }, { ast }) => (datum, params) => evaluate(ast, { functions, params, datum }),
  event: ({ functions }, { ast }) => (event) => evaluate(ast, { functions, params: {}, event }),
  handler: ({ functions }, { ast }) => (params, event) =>
    evaluate(ast, { functions, params, datum: event.item && event.item.datum, event }),
  encode: ({ functions }, { marktype, channels }) => (item, params) => {
    let changed = 0;
    for (const name in channels) {
      const value = evaluate(channels[name].ast, { functions, params, datum: item.datum, item });
      if (item[name] !== value) {
        item[name] = value;
        changed = 1;
      }
    }
    if (marktype !== "rule") place(item, channels, marktype === "group" || marktype === "image" || marktype === "rect");
    return changed;
  },
};
