"""What AWS charges for requests and for watching them, apart from DynamoDB: us-east-1, no free tiers, as of 2026-11."""

# https://aws.amazon.com/lambda/pricing/ (x86, first 6 billion GB-seconds a month; start-up is billed like any duration)
DOLLARS_PER_LAMBDA_REQUEST = 0.20e-6
DOLLARS_PER_GB_SECOND = 0.0000166667
DOLLARS_PER_SNAPSHOT_GB_SECOND = 0.0000015046  # SnapStart, for as long as a version is published
DOLLARS_PER_RESTORED_GB = 0.0001397998  # SnapStart, each start
# https://aws.amazon.com/api-gateway/pricing/ (HTTP API, first 300 million a month, up to 512 KB each)
DOLLARS_PER_API_REQUEST = 1.00e-6
# https://aws.amazon.com/ec2/pricing/on-demand/ (data transferred out to the internet, first 10 TB a month)
DOLLARS_PER_GB_SENT = 0.09
# https://aws.amazon.com/cloudwatch/pricing/ (logs taken in)
DOLLARS_PER_LOG_GB = 0.50
# The same page, a month, billed by the hour: alarms for each metric they look at, custom metrics, dashboards (free are
# ten, ten and three)
DOLLARS_PER_ALARM_METRIC = 0.10
DOLLARS_PER_METRIC = 0.30
DOLLARS_PER_DASHBOARD = 3.00
# https://aws.amazon.com/xray/pricing/ (traces recorded; 100,000 a month are free)
DOLLARS_PER_TRACE = 5.00e-6
# https://aws.amazon.com/ec2/pricing/on-demand/ (t4g.small: 2 processors, 2 GB) and /vpc/pricing/ (a public IPv4)
DOLLARS_PER_SERVER_HOUR = 0.0168 + 0.005

HOURS_PER_MONTH = 730
