// What teams do with a worker, each workflow end to end: recorded once, replayed ever since.
//
//     npm ci
//     LM_MODE=record npm test      record; worker.js starts all that is needed
//     npm test                     replay, off the network
//
// The recordings in the repository are the stand-in's: their answers are made up, no model wrote them.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { CassetteMiss, Client, WorkerError, idOf, owner, start, workflow } from './worker.js';

let worker;
before(async () => { worker = await start(); });
after(() => worker.stop());

const declare = (name, body) => workflow(import.meta.url, name, () => worker.stub, body);
const STAGES = ['SIGNATURE_COMPILATION', 'INPUT_VALIDATION', 'ADAPTER_EXECUTION', 'OUTPUT_VALIDATION', 'RESULT_SERIALIZATION'];

declare('simple question answering', async (client) => {
  await client.createProgram('simple_qa', 'signature simple_qa: :string question -> :string answer', { max_tokens: 200 });
  const execution = await client.execute('simple_qa', { question: 'What is the capital of France?' });
  assert.ok(execution.outputs.answer);
  assert.deepEqual(execution.stages.map((each) => each.stage), STAGES.map((name) => `STAGE_${name}`));
});

declare('multi-step reasoning', async (client) => {
  await client.createProgram(
    'reasoner',
    `signature multi_step_reasoning:
        :string problem, :list(:string) facts
        -> :reasoning_chain thoughts, :string conclusion, :confidence_score confidence`,
    { module: 'ChainOfThought', max_tokens: 800 },
  );
  const { outputs } = await client.execute('reasoner', {
    problem: 'Can the train from Paris reach Madrid before noon?',
    facts: ['It leaves Paris at six.', 'The journey takes nine hours.'],
  });
  assert.ok(outputs.thoughts.every((thought) => thought.step && thought.reasoning));
  assert.ok(outputs.conclusion);
  assert.ok(outputs.confidence >= 0 && outputs.confidence <= 1);
});

declare('comprehensive types', async (client) => {
  await client.createProgram(
    'sorter',
    `signature comprehensive_types:
        :string text, :integer limit, :boolean strict, :map weights, :datetime received
        -> :integer words, :boolean urgent, :list(:string) topics, :choice("low", "high") priority, :date due`,
    { max_tokens: 800 },
  );
  const { outputs } = await client.execute('sorter', {
    text: 'The deadline is on Friday.', limit: 10, strict: true, weights: { deadline: 3 },
    received: new Date('2026-11-20T09:30:00Z'),
  });
  assert.ok(Number.isInteger(outputs.words));
  assert.equal(typeof outputs.urgent, 'boolean');
  assert.ok(Array.isArray(outputs.topics));
  assert.ok(['low', 'high'].includes(outputs.priority));
  assert.ok(outputs.due.year > 0);
});

declare('error handling and recovery', async (client) => {
  await client.createProgram(
    'rater', 'signature rating: :string review, :integer(min=1, max=5) stars -> :string verdict', { max_tokens: 200 },
  );
  const refused = await client.execute('rater', { review: 'Fine.', stars: 9 }).catch((error) => error);
  assert.ok(refused instanceof WorkerError);
  assert.deepEqual([refused.reason, refused.field], ['constraint_violation', 'stars']);
  const kept = await client.getExecution(refused.executionId);
  assert.equal(kept.stages.at(-1).stage, 'STAGE_INPUT_VALIDATION', 'the model was never asked');
  const execution = await client.execute('rater', { review: 'Fine.', stars: 4 });
  assert.ok(execution.outputs.verdict, 'and the same client goes on');
});

declare('tools served by the client', async (client) => {
  await client.createProgram(
    'geographer', 'question -> answer', { module: 'ReAct', tools: ['population'], max_tokens: 400 },
  );
  const stopServing = await client.serveTools({
    population: {
      description: 'Look up how many people live in a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      run: ({ city }) => ({ Paris: 2_100_000, Rome: 2_750_000 })[city] ?? 0,
    },
  });
  try {
    const execution = await client.execute('geographer', { question: 'Is Paris bigger than Rome?' });
    assert.ok(execution.outputs.answer);
    assert.ok(execution.stages[2].tools.some((use) => use.tool === 'population'));
  } finally {
    await stopServing();
  }
});

declare('a batch in which one fails', async (client) => {
  await client.createProgram(
    'doubler', 'signature doubler: :integer(max=9) number -> :integer twice', { max_tokens: 200 },
  );
  const [one, two, refused] = await client.batch('doubler', [{ number: 1 }, { number: 2 }, { number: 30 }]);
  assert.ok([one, two].every((execution) => Number.isInteger(execution.outputs.twice)));
  assert.equal(refused.reason, 'constraint_violation');
});

declare('a stream is heard word by word', async (client) => {
  await client.createProgram('teller', 'signature teller: :string question -> :string story', { max_tokens: 200 });
  let told = '';
  let execution;
  for await (const event of client.stream('teller', { question: 'Who wrote it?' })) {
    if (event.event === 'token') told += event.token.text;
    if (event.event === 'result') execution = event.result;
  }
  assert.equal(told, execution.outputs.story);
});

declare('a changed word is a miss that names it', async (client) => {
  await client.createProgram('asker', 'signature simple_qa: :string question -> :string answer', { max_tokens: 200 });
  const recorded = idOf(import.meta.url, 'simple question answering');
  const replaying = new Client(worker.stub, owner(recorded, { 'lmtest-mode': 'replay' }));
  const missed = await replaying.execute('asker', { question: 'What is the capital of Spain?' }).catch((error) => error);
  assert.ok(missed instanceof CassetteMiss);
  assert.match(missed.nearest[0].differences[0].change, /capital of \[-France-\]\{\+Spain\+\}\?/);
  assert.match(missed.command, /LM_MODE=record/);
});
