// A worker for a test suite, its client, and the tests that own what it plays and records.
//
// All that makes a worker's cassettes the tests' own is in `owner` and `workflow`: metadata on each call, and one call of
// CloseCassette when the test has ended. docs/workflows.md has the same in words, for any language.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const root = fileURLToPath(new URL('../..', import.meta.url));
const python = process.env.PYTHON ?? 'python';
const mode = process.env.LM_MODE ?? 'replay';
const run = process.env.LMTEST_RUN ?? randomUUID();
const offline = ['mock', 'replay'].includes(mode);

const loaded = loadSync('python_worker/v1/worker.proto', {
  includeDirs: [join(root, 'proto')], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true,
});
const { Worker } = grpc.loadPackageDefinition(loaded).python_worker.v1;
const detail = loaded['python_worker.v1.ErrorDetail'];

// ---- the worker's process -----------------------------------------------------------------------------------------

/** Starts a process, and waits for the line that it prints when it is ready. */
async function ready(args, env = {}) {
  const child = spawn(python, ['-m', ...args], {
    cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) return { child, line };
  throw new Error(`${python} -m ${args[0]} ended before it was ready`);
}

/**
 * Starts a worker and, where something is to be asked, the stand-in that answers: no key, no cost, no model's words.
 * WORKFLOWS_API_BASE names another provider.
 */
export async function start() {
  const data = mkdtempSync(join(tmpdir(), 'worker-'));
  const command = ['python_worker', 'serve', '--port', '0', '--lm-mode', mode, '--data-dir', data];
  const children = [];
  let key = {};
  if (!offline) {
    let base = process.env.WORKFLOWS_API_BASE;
    if (!base) {
      const standIn = await ready(['lmtest', 'serve']);
      children.push(standIn.child);
      base = `${standIn.line.match(/http:[^;\s]+/)[0]}/v1beta`;
      key = { GEMINI_API_KEY: 'any-key' };
    }
    command.push('--api-base', base);
  }
  const worker = await ready(command, key);
  children.push(worker.child);
  const target = `127.0.0.1:${worker.line.replace('GRPC_READY:', '').trim()}`;
  const stub = new Worker(target, grpc.credentials.createInsecure());
  return {
    stub,
    async stop() {
      stub.close();
      const ended = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
      children.reverse().forEach((child) => child.kill());
      await Promise.all(ended);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

// ---- the test as the owner -----------------------------------------------------------------------------------------

/** The metadata that make a worker's executions the test's. */
export function owner(id, more = {}) {
  const metadata = new grpc.Metadata();
  const said = { 'lmtest-test': id, 'lmtest-run': run, ...(process.env.LM_MODE && { 'lmtest-mode': mode }), ...more };
  for (const [key, text] of Object.entries(said)) {
    metadata.set(key, /^[ -~]*$/.test(text) && !text.includes('%') ? text : encodeURIComponent(text));
  }
  return metadata;
}

/** The id of a test in a file, as the cassette's header and all messages have it. */
export function idOf(url, name) {
  return `${relative(root, fileURLToPath(url))}::${name}`;
}

/**
 * Declares a test that has a cassette. What its executions record is saved if it passes; what they miss fails it, though
 * its code caught the error.
 */
export function workflow(url, name, worker, body, options = {}) {
  const command = `LM_MODE=record node --test --test-name-pattern='${name}' ${relative(root, fileURLToPath(url))}`;
  test(name, options, async (t) => {
    const metadata = owner(idOf(url, name), { 'lmtest-command': command });
    const close = (failed) => call(worker(), 'CloseCassette', { failed }, metadata);
    try {
      await body(new Client(worker(), metadata), t);
    } catch (error) {
      await close(`${name}: ${error.message}`).catch(() => {}); // the test's own error says more
      throw error;
    }
    const { reports } = await close('');
    const missed = reports.flatMap((report) => report.missed);
    if (missed.length) throw new Error(missed[0]);
  });
}

// ---- calls ---------------------------------------------------------------------------------------------------------

/** How a call of the worker ended that did not succeed. */
export class WorkerError extends Error {
  constructor(told, error) {
    super(told?.message ?? error.details);
    this.code = error.code;
    this.reason = told?.reason;
    this.field = told?.field;
    this.executionId = told?.execution_id;
  }
}

/** A request that is not recorded: `nearest` tells what is, and how it differs; `command` records it. */
export class CassetteMiss extends WorkerError {
  constructor(told, error) {
    super(told, error);
    this.nearest = told.stop.nearest;
    this.command = told.stop.command;
  }
}

function typed(error) {
  const [bytes] = error.metadata?.get('python_worker-error-bin') ?? [];
  const told = bytes && detail.deserialize(bytes);
  return told?.stop?.kind === 'CassetteMiss' ? new CassetteMiss(told, error) : new WorkerError(told, error);
}

function call(stub, method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve, reject) => {
    stub[method](request, metadata, (error, response) => (error ? reject(typed(error)) : resolve(response)));
  });
}

async function* heard(stream) {
  try {
    for await (const event of stream) yield event;
  } catch (error) {
    throw typed(error);
  }
}

/** A client whose executions are one test's. */
export class Client {
  constructor(stub, metadata) {
    this.stub = stub;
    this.metadata = metadata;
  }

  createProgram(name, signature, { module = 'Predict', ...config } = {}) {
    return call(this.stub, 'CreateProgram', { name, signature, module, config });
  }

  async execute(program, inputs) {
    return execution(await call(this.stub, 'Execute', { program, inputs: fields(inputs) }, this.metadata));
  }

  getExecution(execution_id) {
    return call(this.stub, 'GetExecution', { execution_id });
  }

  async *stream(program, inputs) {
    for await (const event of heard(this.stub.ExecuteStream({ program, inputs: fields(inputs) }, this.metadata))) {
      yield event.event === 'result' ? { event: 'result', result: execution(event.result) } : event;
    }
  }

  async batch(program, many) {
    const requests = many.map((inputs) => ({ program, inputs: fields(inputs) }));
    const results = [];
    for await (const { index, outcome, ...told } of heard(this.stub.ExecuteBatch({ requests }, this.metadata))) {
      results[index] = outcome === 'execution' ? execution(told.execution) : told.error;
    }
    return results;
  }

  /** Serves tools until the function that is given back is called. */
  async serveTools(tools) {
    const stream = this.stub.ServeTools();
    const ended = new Promise((resolve) => stream.once('error', resolve).once('end', resolve));
    const described = Object.entries(tools).map(([name, { description, parameters }]) => (
      { name, description, parameters: JSON.stringify(parameters) }
    ));
    stream.write({ register: { tools: described } });
    await new Promise((resolve) => {
      stream.on('data', ({ message, call: asked }) => {
        if (message === 'registered') resolve();
        if (message !== 'call') return;
        try {
          const value = toValue(tools[asked.tool].run(plain(asked.arguments)));
          stream.write({ answer: { call_id: asked.call_id, value } });
        } catch (error) {
          stream.write({ answer: { call_id: asked.call_id, error: String(error) } });
        }
      });
    });
    return async () => {
      stream.cancel();
      await ended;
    };
  }
}

// ---- values --------------------------------------------------------------------------------------------------------

function execution(message) {
  return { ...message, outputs: plain(message.outputs) };
}

function fields(object) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, toValue(value)]));
}

function plain(entries) {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, fromValue(value)]));
}

function toValue(value) {
  if (value === null || value === undefined) return { null: {} };
  if (typeof value === 'boolean') return { boolean: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { integer: value } : { float: value };
  if (typeof value === 'string') return { string: value };
  if (value instanceof Date) return { timestamp: { seconds: Math.floor(value / 1000), nanos: (value % 1000) * 1e6 } };
  if (Array.isArray(value)) return { list: { items: value.map(toValue) } };
  return { map: { entries: fields(value) } };
}

function fromValue(value) {
  const held = value[value.kind];
  if (value.kind === 'null') return null;
  if (value.kind === 'list') return (held.items ?? []).map(fromValue);
  if (value.kind === 'map') return plain(held.entries ?? {});
  return held; // dates, times, tensors and media stay as the contract has them
}
