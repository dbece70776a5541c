// Decides requests until stdin ends, one JSON line in, one out. In: {documents: {name: text}, cases: [case]}, where
// a document is sent once and stays known by its name, and a case is {account, principal, action, resource, context,
// identity: [name], boundary: [name] or null, session: name or null, resourcePolicy: name or null}.
// Out: [{decision: "Allowed" | "ImplicitlyDenied" | "ExplicitlyDenied", by: which policies refuse} or {error}].
import { createValidatedPolicy, validateIdentityPolicy } from '@cloud-copilot/iam-policy'
import { isWildcardOnlyAction, runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
import { createInterface } from 'node:readline'

const MOST = 20_000 // entries of a cache, before it starts anew
const documents = new Map()
const faults = new Map()
const narrowed = new Map()
const known = new Map()

function remember(cache, key, value) {
  if (cache.size >= MOST) cache.clear()
  cache.set(key, value)
  return value
}

// IAM weighs each statement by itself, so those that name another action need not be loaded for every case.
function mayBeAbout(statement, action) {
  if (statement.Action === undefined) return true
  return [statement.Action].flat().some((each) => each.toLowerCase() === action.toLowerCase() || each.includes('*') || each.includes('?'))
}

function about(name, action) {
  const key = `${name} ${action}`
  if (narrowed.has(key)) return narrowed.get(key)
  const whole = documents.get(name)
  if (!faults.has(name)) remember(faults, name, validateIdentityPolicy(whole))
  const document = { ...whole, Statement: [whole.Statement].flat().filter((each) => mayBeAbout(each, action)) }
  return remember(narrowed, key, { name, policy: createValidatedPolicy(document, () => faults.get(name)) })
}

// A trust policy and a repository's policy name no resource: it is the one that they belong to.
function attached(name) {
  const whole = documents.get(name)
  const Statement = [whole.Statement].flat().map((each) => ('Resource' in each || 'NotResource' in each ? each : { ...each, Resource: '*' }))
  return createValidatedPolicy({ ...whole, Statement }, () => [], { name })
}

// Nobody may use a key whose own policy does not say so; the usual one leaves it to IAM.
function keyPolicy(account) {
  return {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
  }
}

function simulation({ account, principal, action, resource, context, identity, boundary, resourcePolicy }) {
  return {
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
    identityPolicies: identity.map((name) => about(name, action)),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(boundary ? { permissionBoundaryPolicies: boundary.map((name) => about(name, action)) } : {}),
    ...(resourcePolicy ? { resourcePolicy: attached(resourcePolicy) } : {}),
    ...(action.startsWith('kms:') ? { resourcePolicy: keyPolicy(account) } : {}),
  }
}

// What is wrong with a request, and which of its context it cannot have: known once, it is the same for every policy.
async function judge(asked) {
  const key = JSON.stringify([asked.action, asked.resource, asked.context, asked.identity.filter((name) => (faults.get(name) ?? []).length)])
  if (known.has(key)) return known.get(key)
  const found = await runSimulation(simulation({ ...asked, resourcePolicy: null }), {})
  // A function's alias and its version look alike; all else was checked by then, and the decision is the same.
  const alike = found.resultType === 'error' && found.errors.message === 'multiple.resource.types'
  const wrong = found.resultType === 'error' && !alike ? JSON.stringify(found.errors) : ''
  const [service, name] = asked.action.split(':')
  const everything = !wrong && (await isWildcardOnlyAction(service, name))
  return remember(known, key, { wrong, everything, ignored: found.result?.ignoredContextKeys ?? [] })
}

async function decide(asked) {
  const { everything, ignored } = await judge(asked)
  if (everything || asked.action.startsWith('kms:')) return (await runSimulation(simulation(asked), {})).overallResult
  const context = Object.fromEntries(Object.entries(asked.context).filter(([key]) => !ignored.includes(key)))
  // On everything of a kind: only a right on everything allows it.
  const resource = asked.resource === '*' ? 'arn:aws:any:any:any:any' : asked.resource
  return runUnsafeSimulation(simulation({ ...asked, resource, context }), {})
}

async function answer(asked) {
  // What a request has not chosen yet is written `*`, and matches as a name that nobody has.
  const literal = asked.resource === '*' ? asked : { ...asked, resource: asked.resource.replaceAll('*', 'any') }
  const { wrong } = await judge(literal)
  if (wrong) return { error: wrong }
  const bare = { ...literal, boundary: null, resourcePolicy: null }
  const session = literal.session ? await decide({ ...bare, identity: [literal.session] }) : 'Allowed'
  const decision = await decide(literal)
  if (session === 'Allowed' && decision === 'Allowed') return { decision }
  if (decision !== 'ExplicitlyDenied' && session !== 'Allowed') return { decision: session, by: 'session' }
  if (decision === 'ExplicitlyDenied') {
    if ((await decide(bare)) === decision) return { decision, by: 'identity' }
    if (literal.resourcePolicy && (await decide({ ...literal, boundary: null, identity: [] })) === decision) return { decision, by: 'resource' }
    return { decision, by: 'boundary' }
  }
  const unbounded = literal.boundary ? await decide({ ...literal, boundary: null }) : decision
  return { decision, by: unbounded === 'Allowed' ? 'boundary' : 'identity' }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { documents: sent, cases } = JSON.parse(line)
  for (const [name, document] of Object.entries(sent)) documents.set(name, JSON.parse(document))
  const answers = []
  for (const each of cases) answers.push(await answer(each))
  process.stdout.write(`${JSON.stringify(answers)}\n`)
}
