// Decides many requests in one process: {account, documents: [document], policies: {name: [number of a document]},
// cases: [{policy, action, resource, context}]} on stdin; one word for each case on stdout: Allowed, ImplicitlyDenied,
// ExplicitlyDenied, or what is wrong.
import { createValidatedPolicy, validateIdentityPolicy } from '@cloud-copilot/iam-policy'
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
import { readFileSync } from 'node:fs'

const { account, documents, policies, cases } = JSON.parse(readFileSync(0, 'utf8'))
const faults = documents.map((document) => validateIdentityPolicy(document))

// IAM weighs each statement by itself, so those that name another action need not be loaded for every case.
const narrowed = new Map()
function about(number, action) {
  const key = `${number} ${action}`
  if (!narrowed.has(key)) {
    const named = ({ Action }) => [Action].flat().some((each) => each === action || each.includes('*'))
    const document = { ...documents[number], Statement: [documents[number].Statement].flat().filter(named) }
    narrowed.set(key, { name: key, policy: createValidatedPolicy(document, () => faults[number]) })
  }
  return narrowed.get(key)
}

// Nobody may use a key whose own policy does not say so; the usual one leaves it to IAM.
const keyPolicy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
}

function simulation({ policy, action, resource, context }) {
  return {
    request: {
      principal: `arn:aws:iam::${account}:role/asks`,
      action,
      resource: { resource, accountId: account },
      contextVariables: context,
    },
    identityPolicies: policies[policy].map((number) => about(number, action)),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(action.startsWith('kms:') ? { resourcePolicy: keyPolicy } : {}),
  }
}

// What is wrong with a request, and which of its context it cannot have: known once, it is the same for every policy.
const known = new Map()
async function judge(asked) {
  const key = JSON.stringify([asked.action, asked.resource, asked.context])
  if (!known.has(key)) {
    const found = await runSimulation(simulation(asked), {})
    // A function's alias and its version look alike; all else was checked by then, and the decision is the same.
    const alike = found.resultType === 'error' && found.errors.message === 'multiple.resource.types'
    known.set(key, { found: alike ? { resultType: 'single' } : found, ignored: found.result?.ignoredContextKeys ?? [] })
  }
  return known.get(key)
}

async function decide(asked) {
  const { found, ignored } = await judge(asked)
  if (found.resultType === 'error') return `error: ${JSON.stringify(found.errors)}`
  if (asked.resource === '*' || asked.action.startsWith('kms:')) return (await runSimulation(simulation(asked), {})).overallResult
  const context = Object.fromEntries(Object.entries(asked.context).filter(([key]) => !ignored.includes(key)))
  return runUnsafeSimulation(simulation({ ...asked, context }), {})
}

const answers = []
for (const each of cases) answers.push(await decide(each))
process.stdout.write(JSON.stringify(answers))
