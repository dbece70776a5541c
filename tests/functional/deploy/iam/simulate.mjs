// Decides many requests in one process: {account, policies: {name: [document]}, cases: [{policy, action, resource,
// context}]} on stdin; one word for each case on stdout: Allowed, ImplicitlyDenied, ExplicitlyDenied, or what is wrong.
import { createValidatedPolicy, validateIdentityPolicy } from '@cloud-copilot/iam-policy'
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
import { readFileSync } from 'node:fs'

const { account, policies, cases } = JSON.parse(readFileSync(0, 'utf8'))
const identities = Object.fromEntries(
  Object.entries(policies).map(([name, documents]) => [
    name,
    documents.map((document, number) => ({
      name: `${number}`,
      policy: createValidatedPolicy(document, validateIdentityPolicy),
    })),
  ]),
)

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
    identityPolicies: identities[policy],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(action.startsWith('kms:') ? { resourcePolicy: keyPolicy } : {}),
  }
}

async function decide(asked) {
  const found = await runSimulation(simulation(asked), {})
  if (found.resultType !== 'error') return found.overallResult
  // A function's alias and its version look alike; all else was checked by then, and the decision is the same.
  if (found.errors.message === 'multiple.resource.types') return runUnsafeSimulation(simulation(asked), {})
  return `error: ${JSON.stringify(found.errors)}`
}

process.stdout.write(JSON.stringify(await Promise.all(cases.map(decide))))
