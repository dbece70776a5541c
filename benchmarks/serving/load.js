// Generates the load of the serving benchmarks; k6 runs it. LOAD holds the options as JSON: see serving/load.py.
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

const load = JSON.parse(__ENV.LOAD);
const bodies = load.bodies.map((path) => open(path, "b"));
const parameters = { headers: load.headers, timeout: `${load.timeout}s`, responseType: load.keep ? "text" : "none" };
const measures = {};
for (const phase of Object.keys(load.scenarios)) {
  measures[phase] = {
    accepted: new Trend(`${phase}_accepted`, true),
    refused: new Trend(`${phase}_refused`, true),
    failed: new Counter(`${phase}_failed`),
    late: new Counter(`${phase}_late`),
    hinted: new Counter(`${phase}_hinted`),
  };
}

export const options = {
  scenarios: load.scenarios,
  summaryTrendStats: ["count", "min", "avg", "med", "p(90)", "p(99)", "max"],
  noVUConnectionReuse: false,
  systemTags: [], // nobody reads them, and k6 would group each request by every tag
};

function ask(phase) {
  const measure = measures[phase];
  const answer = http.post(load.url, bodies[(__VU * 7 + __ITER) % bodies.length], parameters);
  const milliseconds = answer.timings.duration + answer.timings.connecting + answer.timings.blocked;
  if (answer.status === 200) {
    measure.accepted.add(milliseconds);
    measure.late.add(milliseconds > load.bound ? 1 : 0);
  } else if (load.refused.includes(answer.status)) {
    measure.refused.add(milliseconds);
    measure.hinted.add(answer.headers["Retry-After"] ? 1 : 0);
  } else {
    measure.failed.add(1);
  }
}

export function main() { ask("main"); }
export function after() { ask("after"); }

export function handleSummary(data) {
  return { [load.summary]: JSON.stringify(data.metrics) };
}
